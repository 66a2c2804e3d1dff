//! Kyverno's admission controller and its reports controller, to measure beside Pharos.
//!
//! Owns building them from its Go module, what they need to start outside of a cluster (its
//! definitions, read from that module where it lies, its namespace and ConfigMaps), and ending them.
//! Enter at [`Kyverno::start`] and [`KyvernoReports::spawn`]. Only benches use them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::control_plane::ControlPlane;
use crate::eventually::eventually;
use crate::parts::{self, Part};
use crate::ports::{self, loopback};
use crate::process::{Process, keep_to_this_machine, private_directory};

mod reports;

pub use reports::KyvernoReports;

const START: Duration = Duration::from_secs(120);
const MODULE: &str = "github.com/kyverno/kyverno";
/// The folders of its module that hold what it watches.
const DEFINITIONS: [&str; 4] = ["kyverno", "policies.kyverno.io", "policyreport", "reports"];
const NAMESPACE: &str = "kyverno";
/// As its chart has it.
const OMIT_EVENTS: &str = "--omitEvents=PolicyApplied,PolicySkipped";
const NEEDS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: kyverno}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kyverno, namespace: kyverno}
data:
  resourceFilters: "[Event,*,*] [*/*,kube-system,*] [Lease,*,*] [Secret,kyverno,*]"
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kyverno-metrics, namespace: kyverno}
data:
  namespaces: '{"exclude": [], "include": []}'
"#;

/// How much it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KyvernoTelemetry {
    /// Nothing.
    Off,
    /// Metrics, and so many traces of a hundred, by OTLP/gRPC to this port of this machine.
    Pushed {
        /// The Collector's.
        port: u16,
        /// Of traces that nobody before it has decided on.
        traces_percent: u32,
    },
}

/// A running Kyverno admission controller, ended on drop.
#[derive(Debug)]
pub struct Kyverno {
    process: Process,
}

// === impl Kyverno ===

impl Kyverno {
    /// Builds it if need be, gives the API server what it watches, and starts it.
    pub async fn start(
        cluster: &ControlPlane,
        dir: &Path,
        telemetry: KyvernoTelemetry,
    ) -> anyhow::Result<Self> {
        let parts = parts::ensure(&[Part::Kyverno]).await?;
        private_directory(dir)?;
        prepare(cluster).await?;
        let [webhook] = ports::free()?;
        let mut command = Command::new(parts.path(Part::Kyverno));
        of_kyverno(&mut command, cluster, "kyverno");
        command
            .arg(format!("--serverIP={}", loopback(webhook)))
            .args(["--webhookServerHost=127.0.0.1", &format!("--webhookServerPort={webhook}")])
            .arg("--controllerRuntimeMetricsAddress=0")
            .args(["--caSecretName=kyverno-ca", "--tlsSecretName=kyverno-pair"])
            .arg(OMIT_EVENTS)
            .args(telemetry.arguments())
            .envs(telemetry.environment())
            .env("KYVERNO_SVC", "kyverno-svc");
        let mut process = Process::spawn("kyverno", &mut command, &dir.join("kyverno.log"))?;
        eventually("Kyverno to take its policies' webhook into service", START, async || {
            if let Some(status) = process.exited() {
                return Err(format!("it ended: {status}. {}", process.last_words()));
            }
            let get = ["get", "validatingwebhookconfigurations", "-o", "name"];
            match cluster.kubectl(&get).await {
                Ok(names) if names.contains("kyverno-policy-validating-webhook-cfg") => Ok(()),
                Ok(names) => Err(format!("registered: {names:?}. {}", process.last_words())),
                Err(error) => Err(error.to_string()),
            }
        })
        .await?;
        Ok(Self { process })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

// === impl KyvernoTelemetry ===

impl KyvernoTelemetry {
    fn arguments(self) -> Vec<String> {
        match self {
            // Without metrics its server of metrics is not of use either.
            Self::Off => vec!["--disableMetrics=true".to_owned(), "--otelConfig=none".to_owned()],
            Self::Pushed { port, traces_percent } => {
                let metrics = ["--otelConfig=grpc", "--otelCollector=127.0.0.1"];
                let mut arguments: Vec<_> = metrics.map(str::to_owned).into();
                arguments.push(format!("--metricsPort={port}"));
                if traces_percent > 0 {
                    let traces = ["--enableTracing=true", "--tracingAddress=127.0.0.1"];
                    arguments.extend(traces.map(str::to_owned));
                    arguments.push(format!("--tracingPort={port}"));
                }
                arguments
            }
        }
    }

    /// Its SDK reads the sampler from here; it has no flag.
    fn environment(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Off => Vec::new(),
            Self::Pushed { traces_percent, .. } => vec![
                ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned()),
                ("OTEL_TRACES_SAMPLER_ARG", (f64::from(traces_percent) / 100.0).to_string()),
            ],
        }
    }
}

/// What both controllers find at the API server.
async fn prepare(cluster: &ControlPlane) -> anyhow::Result<()> {
    let definitions = module()?.join("config/crds");
    for group in DEFINITIONS {
        cluster.install_crds(&definitions.join(group)).await?;
    }
    cluster.apply(NEEDS).await?;
    Ok(())
}

/// What the chart tells the Deployment of that name, but flags.
fn of_kyverno(command: &mut Command, cluster: &ControlPlane, deployment: &str) {
    keep_to_this_machine(command);
    command
        .arg(format!("--kubeconfig={}", cluster.kubeconfig().display()))
        .env("KYVERNO_NAMESPACE", NAMESPACE)
        .env("KYVERNO_POD_NAME", format!("{deployment}-0"))
        .env("KYVERNO_DEPLOYMENT", deployment)
        .env("KYVERNO_SERVICEACCOUNT_NAME", deployment)
        .env("INIT_CONFIG", "kyverno")
        .env("METRICS_CONFIG", "kyverno-metrics");
}

/// Where its sources lie on this machine, once it was built.
fn module() -> anyhow::Result<PathBuf> {
    let mut command = Command::new("go");
    command.args(["list", "-m", "-f", "{{.Dir}}", MODULE]).current_dir(parts::tools("kyverno"));
    let output = command.output().context("there is no Go here")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "go list: {}", error.trim());
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
