//! What every end-to-end test starts from: a control plane with Pharos's CRDs, namespaces, the
//! Service of the webhook and one policy, and a Collector.
//!
//! Enter at [`Stage::set`]. Reads what the API server, Pharos and the Collector say of the same
//! thing, so that a test can compare them.

use std::convert::identity;
use std::time::Duration;

use anyhow::{Context, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use pharos_testkit::{
    Collector, ControlPlane, ControlPlaneBuilder, Kubectl, Pharos, eventually,
    external_name_service, prometheus,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::manifests::{NAMESPACES, POLICY, config_map, repository};

/// The counter of reviews, as it is named over OTLP; Prometheus appends `_total`.
pub const REVIEWS: &str = "kyverno_admission_requests";
/// How long a test waits for what should take a second or two.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The namespace of the engine.
pub const ENGINE: &str = "pharos";
/// The namespace that objects are created in.
pub const SHOP: &str = "shop";

/// A control plane and a Collector, ended on drop. Their files are removed, unless
/// `PHAROS_E2E_KEEP` is set.
pub struct Stage {
    /// The control plane.
    pub cluster: ControlPlane,
    /// The Collector.
    pub collector: Collector,
    /// Removed after the parts that write to it have ended.
    _dir: TempDir,
}

/// A TelemetryConfig named `default` with this spec, indented by two.
#[must_use]
pub fn telemetryconfig(spec: &str) -> String {
    format!(
        "apiVersion: telemetry.pharos.dev/v1alpha1\nkind: TelemetryConfig\n\
         metadata: {{name: default, namespace: {ENGINE}}}\nspec:\n  {spec}\n"
    )
}

// === impl Stage ===

impl Stage {
    /// Sets the stage, without a pharos.
    pub async fn set() -> anyhow::Result<Self> {
        Self::bare().await?.furnished().await
    }

    /// Sets the stage with an API server that writes down every request.
    pub async fn audited() -> anyhow::Result<Self> {
        Self::over(ControlPlaneBuilder::audit).await?.furnished().await
    }

    /// The stage without Pharos's CRDs.
    pub async fn bare() -> anyhow::Result<Self> {
        Self::over(identity).await
    }

    async fn over(
        options: impl FnOnce(ControlPlaneBuilder) -> ControlPlaneBuilder,
    ) -> anyhow::Result<Self> {
        let keep = std::env::var_os("PHAROS_E2E_KEEP").is_some();
        let dir = tempfile::Builder::new().prefix("pharos-e2e-").disable_cleanup(keep).tempdir()?;
        let cluster = options(ControlPlane::builder(&dir.path().join("cluster"))).start().await?;
        let collector = Collector::start(&dir.path().join("collector"), None).await?;
        cluster.apply(NAMESPACES).await?;
        cluster.apply(&external_name_service(ENGINE, "pharos")).await?;
        Ok(Self { cluster, collector, _dir: dir })
    }

    /// With Pharos's CRDs and the policy.
    async fn furnished(self) -> anyhow::Result<Self> {
        self.cluster.install_crds(&repository().join("crds")).await?;
        self.cluster.apply(POLICY).await?;
        Ok(self)
    }

    /// kubectl, where its exit code or its standard error matters.
    #[must_use]
    pub fn kubectl(&self) -> &Kubectl {
        self.cluster.as_ref()
    }

    /// A client that may do everything, where kubectl would be slow.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.cluster.kubeconfig())?;
        let options = KubeConfigOptions::default();
        Ok(Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &options).await?)?)
    }

    /// A running pharos whose webhook is registered and called.
    pub async fn pharos(&self) -> anyhow::Result<Pharos> {
        let pharos = Pharos::builder(&self.cluster).start().await?;
        self.webhook_in_force().await?;
        Ok(pharos)
    }

    /// Waits until the API server refuses what the policy refuses. Its dry run leaves no object.
    pub async fn webhook_in_force(&self) -> anyhow::Result<()> {
        eventually("the policy to be in force", PATIENCE, async || {
            let create = ["create", "configmap", "probe", "-n", SHOP, "--dry-run=server"];
            match self.cluster.kubectl(&create).await {
                Ok(_) => Err("an object without the label is still admitted".to_owned()),
                Err(error) if error.to_string().contains("require-team") => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }

    /// Creates ConfigMaps, every fifth without the label that the policy requires; says how many
    /// were admitted.
    pub async fn create(&self, prefix: &str, count: usize) -> anyhow::Result<usize> {
        let manifest = config_maps(prefix, count);
        let output = self.kubectl().output(&["create", "-f", "-"], &manifest).await?;
        let errors = String::from_utf8(output.stderr)?;
        let unexpected =
            errors.lines().find(|line| !line.trim().is_empty() && !line.contains("require-team"));
        ensure!(unexpected.is_none(), "kubectl create: {}", unexpected.unwrap_or_default());
        Ok(String::from_utf8(output.stdout)?
            .lines()
            .filter(|line| line.ends_with("created"))
            .count())
    }

    /// The TelemetryConfig `default` as the API server holds it.
    pub async fn telemetryconfig(&self) -> anyhow::Result<Value> {
        let arguments =
            ["get", "telcfg", "default", "-n", ENGINE, "-o", "json", "--show-managed-fields"];
        Ok(serde_json::from_str(&self.cluster.kubectl(&arguments).await?)?)
    }

    /// Waits until a condition of the TelemetryConfig `default` has this status and reason for its
    /// current generation, and returns the message.
    pub async fn condition(
        &self,
        r#type: &str,
        status: &str,
        reason: &str,
    ) -> anyhow::Result<String> {
        eventually(&format!("{type}={status}, {reason}"), PATIENCE, async || {
            let object = self.telemetryconfig().await.map_err(|error| error.to_string())?;
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let found = conditions.iter().find(|condition| condition["type"] == r#type);
            let found = found.ok_or("the condition is not there")?;
            let current = found["observedGeneration"] == object["metadata"]["generation"];
            if current && found["status"] == status && found["reason"] == reason {
                Ok(found["message"].as_str().unwrap_or_default().to_owned())
            } else {
                Err(found.to_string())
            }
        })
        .await
    }

    /// Applies a TelemetryConfig and waits until every replica runs it.
    pub async fn configure(&self, yaml: &str) -> anyhow::Result<()> {
        self.cluster.apply(yaml).await?;
        self.condition("Programmed", "True", "Programmed").await?;
        Ok(())
    }

    /// How many calls of Pharos's webhooks the API server says were answered, and that none failed.
    pub async fn reviews_answered(&self) -> anyhow::Result<f64> {
        let samples = self.cluster.metrics().await?;
        let ours = |sample: &&prometheus::Sample| {
            sample.label("name").is_some_and(|name| name.contains("pharos"))
        };
        // A call that got no answer is a rejection with another error type, or was let pass.
        let faults: Vec<_> = samples
            .iter()
            .filter(ours)
            .filter(|sample| sample.value > 0.0)
            .filter(|sample| match sample.name.as_str() {
                "apiserver_admission_webhook_fail_open_count" => true,
                "apiserver_admission_webhook_rejection_count" => {
                    sample.label("error_type") != Some("no_error")
                }
                _ => false,
            })
            .collect();
        ensure!(faults.is_empty(), "calls without an answer: {faults:?}");
        let answered = samples
            .iter()
            .filter(ours)
            .filter(|sample| sample.name == "apiserver_admission_webhook_request_total");
        Ok(answered.map(|sample| sample.value).sum())
    }
}

/// The total of reviews in a scrape.
#[must_use]
pub fn reviews_scraped(samples: &[prometheus::Sample]) -> f64 {
    prometheus::sum(samples, &format!("{REVIEWS}_total"), &[])
}

/// What `/metrics` would have shown at the very commit of the last reload.
pub async fn reviews_at_commit(pharos: &Pharos) -> anyhow::Result<f64> {
    let (_, exposition) = pharos.admin("/debug/telemetry/last-commit").await?;
    let samples = prometheus::parse(&exposition).context("the exposition of the last commit")?;
    Ok(reviews_scraped(&samples))
}

fn config_maps(prefix: &str, count: usize) -> String {
    let one = |index: usize| {
        let team = (!index.is_multiple_of(5)).then_some("web");
        format!("---\n{}", config_map(&format!("{prefix}-{index}"), team))
    };
    (0..count).map(one).collect()
}
