//! An engine under policies, telling as much as it is asked to.

use std::fmt;
use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use k8s_openapi::api::admissionregistration::v1::{
    RuleWithOperations, ValidatingWebhook, ValidatingWebhookConfiguration,
};
use kube::Api;
use kube::api::ListParams;
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage, telemetryconfig};
use pharos_testkit::{Collector, Kyverno, KyvernoTelemetry, Pharos, WebhookTarget, eventually};

use crate::load::{Caller, Connections};
use crate::reviews::{self, Policy};

/// How much an engine tells. What is pushed is so every two seconds, which Kyverno cannot change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telemetry {
    Off,
    /// Metrics by OTLP.
    Metrics,
    /// And so many traces of a hundred.
    Traces(u32),
    /// The same, compressed as Pharos does unless told otherwise.
    Gzip(u32),
}

/// A control plane, and a Collector that drops what it receives.
pub(crate) struct Place {
    pub(crate) stage: Stage,
    collector: Collector,
}

/// One of the two, in its place.
pub(crate) struct Engine<'p> {
    pub(crate) name: &'static str,
    pub(crate) pid: u32,
    pub(crate) place: &'p Place,
    running: Running,
}

/// Ended on drop.
enum Running {
    Kyverno { _process: Kyverno },
    Pharos(Pharos),
}

/// Whatever arrives is received, decoded and forgotten.
const COLLECTOR: &str = "
receivers: {otlp: {protocols: {grpc: {endpoint: '@grpc@'}, http: {endpoint: '@http@'}}}}
exporters: {debug: {verbosity: basic}}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    metrics: {receivers: [otlp], exporters: [debug]}
    traces: {receivers: [otlp], exporters: [debug]}
    logs: {receivers: [otlp], exporters: [debug]}
";

// === impl Place ===

impl Place {
    /// A place for `stage`, with the Collector's files in `dir`.
    pub(crate) async fn new(stage: Stage, dir: &Path) -> anyhow::Result<Self> {
        let collector = Collector::builder(dir).config(COLLECTOR).start().await?;
        Ok(Self { stage, collector })
    }

    /// Starts Kyverno and waits until it judges by these policies.
    pub(crate) async fn kyverno(
        &self,
        dir: &Path,
        telemetry: Telemetry,
        policies: &[Policy],
    ) -> anyhow::Result<Engine<'_>> {
        let port = self.collector.port();
        let telemetry = match telemetry {
            Telemetry::Off => KyvernoTelemetry::Off,
            Telemetry::Metrics => KyvernoTelemetry::Pushed { port, traces_percent: 0 },
            Telemetry::Traces(percent) | Telemetry::Gzip(percent) => {
                KyvernoTelemetry::Pushed { port, traces_percent: percent }
            }
        };
        let kyverno = Kyverno::start(&self.stage.cluster, dir, telemetry).await?;
        let pid = kyverno.pid();
        let running = Running::Kyverno { _process: kyverno };
        let engine = Engine { name: "Kyverno", pid, place: self, running };
        engine.apply(policies).await?;
        Ok(engine)
    }

    /// Starts Pharos and waits until it judges by these policies.
    pub(crate) async fn pharos(
        &self,
        telemetry: Telemetry,
        policies: &[Policy],
    ) -> anyhow::Result<Engine<'_>> {
        self.stage.cluster.apply(&telemetryconfig(&self.spec(telemetry))).await?;
        let target = WebhookTarget::Service(format!("{ENGINE}/pharos"));
        let pharos = Pharos::builder(&self.stage.cluster).target(target).start().await?;
        let pid = pharos.pid();
        let engine = Engine { name: "Pharos", pid, place: self, running: Running::Pharos(pharos) };
        engine.apply(policies).await?;
        self.configure(telemetry).await?;
        Ok(engine)
    }

    /// Has Pharos tell that much, from now on.
    pub(crate) async fn configure(&self, telemetry: Telemetry) -> anyhow::Result<()> {
        self.stage.configure(&telemetryconfig(&self.spec(telemetry))).await
    }

    /// The spec of a TelemetryConfig.
    pub(crate) fn spec(&self, telemetry: Telemetry) -> String {
        let traces = match telemetry {
            Telemetry::Off => {
                return "metrics: {mode: Disabled}\n  traces: {mode: Disabled}\n  \
                        logs: {mode: Disabled}"
                    .to_owned();
            }
            Telemetry::Metrics => String::new(),
            Telemetry::Traces(percent) | Telemetry::Gzip(percent) => format!(
                "\n  traces: {{exporters: [collector], sampler: \
                 {{type: ParentBasedTraceIDRatio, ratioPerMillion: {}}}}}",
                percent * 10_000
            ),
        };
        let compression = if let Telemetry::Gzip(_) = telemetry { "Gzip" } else { "None" };
        // Prometheus is how it is asked for what was dropped; it costs nothing until then.
        format!(
            "exporters:\n  - {{name: prometheus, type: Prometheus}}\n  \
             - {{name: collector, type: OTLP, otlp: {{protocol: GRPC, endpoint: '{}', \
             compression: {compression}}}}}\n  \
             metrics: {{exporters: [collector, prometheus], exportPeriodSeconds: 2}}{traces}",
            self.collector.endpoint()
        )
    }
}

// === impl Engine ===

impl Engine<'_> {
    /// Ends it, so that another one can take its place.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        match self.running {
            Running::Kyverno { .. } => {}
            Running::Pharos(pharos) => {
                pharos.terminate(PATIENCE).await?;
            }
        }
        Ok(())
    }

    /// If it is Pharos.
    pub(crate) fn pharos(&self) -> anyhow::Result<&Pharos> {
        match &self.running {
            Running::Pharos(pharos) => Ok(pharos),
            Running::Kyverno { .. } => anyhow::bail!("this is Kyverno"),
        }
    }

    /// What calls it as it has registered itself.
    pub(crate) async fn caller(&self, connections: Connections) -> anyhow::Result<Caller> {
        Caller::new(&self.webhooks().await?, connections)
    }

    /// Puts these policies in force and waits until each refuses what violates them all, and none
    /// what violates none.
    async fn apply(&self, policies: &[Policy]) -> anyhow::Result<()> {
        for policy in policies {
            // Kyverno's own webhook is registered before it can answer.
            eventually(&policy.name, PATIENCE, async || {
                let applied = self.place.stage.cluster.apply(&policy.yaml).await;
                applied.map_err(|error| error.to_string())
            })
            .await?;
        }
        let (violating, passing) = (reviews::violating(), reviews::small());
        eventually("the policies to be registered", PATIENCE * 4, async || {
            let refused = async |review: &Bytes| {
                let messages = self.caller(Connections::KeptAlive).await?.messages(review).await?;
                let named = |policy: &&Policy| messages.contains(&format!("{} ", policy.name));
                anyhow::Ok((policies.iter().filter(named).count(), messages))
            };
            let refusals = refused(&violating).await.map_err(|error| format!("{error:#}"))?;
            let refused = refused(&passing).await.map_err(|error| format!("{error:#}"))?;
            match (refusals, refused) {
                ((count, _), (0, _)) if count == policies.len() => Ok(()),
                (refusals, refused) => Err(format!("{}: {refusals:?}, {refused:?}", self.name)),
            }
        })
        .await
    }

    /// What is registered for Pods that are created.
    async fn webhooks(&self) -> anyhow::Result<Vec<ValidatingWebhook>> {
        let api: Api<ValidatingWebhookConfiguration> = Api::all(self.place.stage.client().await?);
        let configurations = api.list(&ListParams::default()).await?;
        let webhooks = configurations.into_iter().flat_map(|it| it.webhooks.unwrap_or_default());
        let webhooks: Vec<_> =
            webhooks.filter(|webhook| webhook.rules.iter().flatten().any(is_about_pods)).collect();
        (!webhooks.is_empty()).then_some(webhooks).context("nothing is registered for Pods")
    }
}

fn is_about_pods(rule: &RuleWithOperations) -> bool {
    let any = |terms: &Option<Vec<String>>, wanted: [&str; 3]| {
        terms.iter().flatten().any(|term| wanted.contains(&term.as_str()))
    };
    any(&rule.api_groups, ["", "*", "*"])
        && any(&rule.resources, ["pods", "*", "*/*"])
        && any(&rule.operations, ["CREATE", "*", "*"])
}

// === impl Telemetry ===

impl fmt::Display for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Metrics => f.write_str("metrics"),
            Self::Traces(percent) => write!(f, "metrics, {percent} % of traces"),
            Self::Gzip(percent) => write!(f, "metrics, {percent} % of traces, gzip"),
        }
    }
}
