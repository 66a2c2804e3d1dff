//! Pharos and Kyverno side by side: the same policies, the same reviews, in turns, at the webhook.
//! `make bench-compare` runs it.
//!
//! Each engine has a control plane of its own and is called as it has registered itself: at its URLs,
//! trusting its authority. [`load`] is the caller, [`reviews`] what is sent.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingWebhook, ValidatingWebhookConfiguration,
};
use kube::Api;
use pharos_e2e::stage::{PATIENCE, Stage, telemetryconfig};
use pharos_testkit::bench::{Section, cpu_time_of, resident_memory_of};
use pharos_testkit::{Kyverno, KyvernoMetrics, Pharos, WebhookTarget, eventually};

use load::{Caller, Connections, Sample};

mod load;
mod reviews;

/// Rounds in turns; the median round counts.
const ROUNDS: usize = 5;
/// Requests of a round: enough for a 99th percentile.
const REQUESTS: usize = 600;
const WORKERS: usize = 2;
const SUITES: &str = "../../shared/conformance/validating-policy/pod-security-vpol";
const ONE: &str = "disallow-privileged-containers";

/// Whether the engines tell what they do.
#[derive(Clone, Copy)]
enum Metrics {
    On,
    Off,
}

/// One of the two, under one set of policies.
struct Engine {
    name: &'static str,
    pid: u32,
    stage: Stage,
}

/// What one engine needed, medians over the rounds.
struct Figures {
    cpu: Duration,
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

fn main() -> anyhow::Result<()> {
    let suites = Path::new(env!("CARGO_MANIFEST_DIR")).join(SUITES);
    ensure!(suites.is_dir(), "the policies of the Pod Security Standards are not at {SUITES}");
    let policies = reviews::policies(&suites)?;
    let mut section = Section::new(
        "compare",
        "Beside Kyverno 1.19.1",
        "Reviews of a Pod that passes, sent to both webhooks as they are registered, by two workers \
         over TLS and HTTP/1.1, in turns; medians of 5 rounds of 600 requests. CPU time is that of \
         the engine's process. The policies are those of the Pod Security Standards in Kyverno's library.",
    );
    let runtime = tokio::runtime::Runtime::new()?;
    for metrics in [Metrics::On, Metrics::Off] {
        runtime.block_on(measure(&policies, metrics, &mut section))?;
    }
    Ok(section.publish()?)
}

async fn measure(
    policies: &[(String, PathBuf, String)],
    metrics: Metrics,
    section: &mut Section,
) -> anyhow::Result<()> {
    let (told, kyverno_metrics, spec) = match metrics {
        Metrics::On => ("metrics on", KyvernoMetrics::Scraped, "metrics: {}"),
        Metrics::Off => ("metrics off", KyvernoMetrics::Disabled, "metrics: {mode: Disabled}"),
    };
    let dir = tempfile::tempdir()?;
    let theirs = Stage::bare().await?;
    let kyverno =
        Kyverno::start(&theirs.cluster, &dir.path().join("kyverno"), kyverno_metrics).await?;
    let ours = Stage::set().await?;
    ours.cluster.kubectl(&["delete", "vpol", "--all"]).await?;
    ours.configure(&telemetryconfig(spec)).await?;
    let target = WebhookTarget::Host("127.0.0.1".to_owned());
    let pharos = Pharos::builder(&ours.cluster).target(target).start().await?;
    let engines = [
        Engine { name: "Kyverno", pid: kyverno.pid(), stage: theirs },
        Engine { name: "Pharos", pid: pharos.pid(), stage: ours },
    ];
    let one: Vec<_> = policies.iter().filter(|(name, ..)| name == ONE).cloned().collect();
    ensure!(one.len() == 1, "there is no {ONE} among the policies");
    for set in [&one[..], policies] {
        for engine in &engines {
            engine.apply(set).await?;
        }
        for (size, review) in [("2 KB", reviews::small()), ("60 KB", reviews::large())] {
            for connections in [Connections::KeptAlive, Connections::Churning] {
                let what = format!("{} policies, {size}, {connections}, {told}", set.len());
                compare(&what, &engines, &review, connections, section).await?;
            }
        }
    }
    for engine in &engines {
        let megabytes = resident_memory_of(engine.pid)? / 1_000_000;
        let goal = if engine.name == "Pharos" { "at most 1/5" } else { "" };
        section.figure(
            &format!("{}, resident memory, {told}", engine.name),
            format!("{megabytes} MB"),
            goal,
        );
    }
    Ok(())
}

async fn compare(
    what: &str,
    engines: &[Engine; 2],
    review: &[u8],
    connections: Connections,
    section: &mut Section,
) -> anyhow::Result<()> {
    let mut rounds: [Vec<Figures>; 2] = [Vec::new(), Vec::new()];
    let mut callers = Vec::new();
    for engine in engines {
        let caller = Caller::new(&engine.webhooks().await?, connections)?;
        caller.call(review, REQUESTS / 3, WORKERS).await?;
        callers.push(caller);
    }
    for _ in 0..ROUNDS {
        for (index, engine) in engines.iter().enumerate() {
            let before = cpu_time_of(engine.pid)?;
            let sample = callers[index].call(review, REQUESTS, WORKERS).await?;
            rounds[index].push(Figures::of(cpu_time_of(engine.pid)? - before, sample));
        }
    }
    let [theirs, ours] = rounds.map(Figures::median);
    for (engine, figures) in engines.iter().zip([&theirs, &ours]) {
        section.figure(&format!("{}: {what}", engine.name), figures, "");
    }
    let ratio = theirs.cpu.as_secs_f64() / ours.cpu.as_secs_f64();
    let goal = match (what.starts_with("1 "), connections) {
        (true, Connections::KeptAlive) => "at least 10",
        (false, Connections::KeptAlive) => "at least 15",
        (_, Connections::Churning) => "",
    };
    section.figure(&format!("CPU of Kyverno to Pharos: {what}"), format!("{ratio:.1}"), goal);
    Ok(())
}

// === impl Engine ===

impl Engine {
    /// Puts these policies in force and waits until the API server would ask about each.
    async fn apply(&self, policies: &[(String, PathBuf, String)]) -> anyhow::Result<()> {
        for (_, _, yaml) in policies {
            self.stage.cluster.apply(yaml).await?;
        }
        eventually("the policies to be registered", PATIENCE * 4, async || {
            let webhooks = self.webhooks().await.map_err(|error| error.to_string())?;
            if webhooks.is_empty() {
                return Err(format!("{} has registered nothing", self.name));
            }
            let caller =
                Caller::new(&webhooks, Connections::KeptAlive).map_err(|e| e.to_string())?;
            match caller.refused(&reviews::violating()).await {
                Ok(refusals) if refusals >= policies.len() => Ok(()),
                Ok(refusals) => Err(format!("{refusals} policies refuse what violates them all")),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }

    /// What is registered for Pods that are created.
    async fn webhooks(&self) -> anyhow::Result<Vec<ValidatingWebhook>> {
        let api: Api<ValidatingWebhookConfiguration> = Api::all(self.stage.client().await?);
        let configurations = api.list(&kube::api::ListParams::default()).await?;
        let webhooks = configurations.into_iter().flat_map(|it| it.webhooks.unwrap_or_default());
        let about_pods = |webhook: &ValidatingWebhook| {
            webhook.rules.iter().flatten().any(|rule| {
                rule.resources.iter().flatten().any(|it| it == "pods" || it.starts_with('*'))
            })
        };
        Ok(webhooks.filter(about_pods).collect())
    }
}

// === impl Figures ===

impl Figures {
    fn of(cpu: Duration, mut sample: Sample) -> Self {
        sample.latencies.sort_unstable();
        let count = sample.latencies.len();
        let at = |percent: usize| sample.latencies[(count * percent).div_ceil(100) - 1];
        Self {
            cpu: cpu / u32::try_from(count).unwrap_or(u32::MAX),
            per_second: count as f64 / sample.elapsed.as_secs_f64(),
            p50: at(50),
            p99: at(99),
        }
    }

    fn median(mut rounds: Vec<Self>) -> Self {
        rounds.sort_by_key(|figures| figures.cpu);
        rounds.swap_remove(rounds.len() / 2)
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let (cpu, p50, p99) =
            (milliseconds(self.cpu), milliseconds(self.p50), milliseconds(self.p99));
        write!(f, "{cpu:.3} ms CPU, {:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms", self.per_second)
    }
}
