//! What a TelemetryConfig refers to breaks in every way and is repaired, while Pharos exports with
//! what was good; and Ready returns by itself.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use pharos_e2e::gateway::{CLIENT, Gateway, rotate};
use pharos_e2e::planted::Planted;
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage, telemetryconfig};
use pharos_testkit::pki::{Authority, Leaf, Pair};
use pharos_testkit::{Pharos, eventually};
use serde_json::json;
use tokio::time::Instant;

const GATEWAY: &str = "gateway";
/// A revoked right shows at the next watch, within 65 s.
const REVOKED: Duration = Duration::from_secs(120);
/// Lets the ServiceAccount of the test read the client certificate.
const GRANT: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: client, namespace: pharos}
rules:
- {apiGroups: [\"\"], resources: [secrets], resourceNames: [client], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: client, namespace: pharos}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: client}
subjects:
- {kind: ServiceAccount, name: without-secrets, namespace: pharos}
";

/// Everything that breaks, and what it is repaired with.
struct Scene {
    stage: Stage,
    secrets: Api<Secret>,
    gateway: Gateway,
    issuer: Authority,
    good: Pair,
    ca: String,
}

// === impl Scene ===

impl Scene {
    async fn set() -> anyhow::Result<Self> {
        let stage = Stage::set().await?;
        let issuer = Authority::new("issuer")?;
        let gateway = Gateway::start(&stage, GATEWAY, &[&issuer]).await?;
        let secrets = Api::namespaced(stage.client().await?, ENGINE);
        let good = issuer.client("pharos")?;
        let ca = ["get", "configmap", GATEWAY, "-n", ENGINE, "-o", r"jsonpath={.data.ca\.crt}"];
        let ca = stage.cluster.kubectl(&ca).await?;
        Ok(Self { stage, secrets, gateway, issuer, good, ca })
    }

    /// Pharos as a ServiceAccount that may read no Secret yet.
    async fn pharos(&self) -> anyhow::Result<Pharos> {
        let manifest = include_str!("../../manifests/without-secrets.yaml");
        self.stage.cluster.apply(manifest).await?;
        let token = ["create", "token", "without-secrets", "-n", ENGINE];
        let token = self.stage.cluster.kubectl(&token).await?;
        let user = self.stage.kubectl().with_token("without-secrets", token.trim())?;
        let pharos = Pharos::builder(&user).start().await?;
        self.stage.webhook_in_force().await?;
        Ok(pharos)
    }

    async fn client(&self, certificate: &str, key: &str) -> anyhow::Result<()> {
        let pair = Pair { certificate_pem: certificate.to_owned(), key_pem: key.to_owned() };
        rotate(&self.secrets, &pair).await.map(drop)
    }

    async fn authority(&self, key: &str, pem: &str) -> anyhow::Result<()> {
        let config_map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": GATEWAY, "namespace": ENGINE}, "data": {key: pem},
        });
        let replace = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.delete("configmap", GATEWAY).await?;
        self.stage.kubectl().run_with_input(&replace, &config_map.to_string()).await.map(drop)
    }

    async fn delete(&self, kind: &str, name: &str) -> anyhow::Result<()> {
        let delete = ["delete", kind, name, "-n", ENGINE, "--ignore-not-found"];
        self.stage.cluster.kubectl(&delete).await.map(drop)
    }

    /// Breaks something.
    async fn damage(&self, damage: Damage) -> anyhow::Result<()> {
        let Pair { certificate_pem, key_pem } = &self.good;
        match damage {
            Damage::Certificate => self.client("no PEM at all", key_pem).await,
            Damage::Key => self.client(certificate_pem, "no PEM either").await,
            Damage::Mismatch => {
                self.client(certificate_pem, &self.issuer.client("other")?.key_pem).await
            }
            Damage::Expired => {
                let old = self.issuer.issue(&Leaf::client("pharos").expired())?;
                self.client(&old.certificate_pem, &old.key_pem).await
            }
            Damage::Deleted => self.delete("secret", CLIENT).await,
            Damage::Authority => self.authority("ca.crt", "neither this").await,
            Damage::AuthorityDeleted => self.delete("configmap", GATEWAY).await,
        }
    }

    async fn repair(&self) -> anyhow::Result<()> {
        self.authority("ca.crt", &self.ca).await?;
        self.client(&self.good.certificate_pem, &self.good.key_pem).await
    }

    /// Waits until more arrives than what is there now.
    async fn exports_go_on(&self) -> anyhow::Result<()> {
        let before = self.gateway.exports().len();
        eventually("another export", PATIENCE, async || {
            let now = self.gateway.exports().len();
            if now > before { Ok(()) } else { Err(format!("{now} exports, as before")) }
        })
        .await
    }
}

/// A way in which material goes bad.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Certificate,
    Key,
    Mismatch,
    Expired,
    Deleted,
    Authority,
    AuthorityDeleted,
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_returns_when_material_is_repaired_with_no_hand_on_pharos() -> anyhow::Result<()> {
    let scene = Scene::set().await?;
    let stage = &scene.stage;
    scene.repair().await?;
    let pharos = scene.pharos().await?;
    let spec = format!(
        "exporters: [{}]\n  metrics: {{exporters: [{GATEWAY}], exportPeriodSeconds: 1}}",
        scene.gateway.exporter()
    );
    stage.cluster.apply(&telemetryconfig(&spec)).await?;

    // 403 from the start.
    stage.condition("ResolvedRefs", "False", "RefNotPermitted").await?;
    stage.cluster.apply(GRANT).await?;
    let mut repairs = vec![("RefNotPermitted", ready(stage, Instant::now()).await?)];
    scene.exports_go_on().await?;

    for (damage, reason) in [
        (Damage::Certificate, "InvalidCertificate"),
        (Damage::Key, "InvalidCertificate"),
        (Damage::Mismatch, "KeyPairMismatch"),
        (Damage::Expired, "CertificateExpired"),
        (Damage::Deleted, "SecretNotFound"),
        (Damage::Authority, "InvalidCertificate"),
        (Damage::AuthorityDeleted, "ConfigMapNotFound"),
    ] {
        scene.damage(damage).await?;
        stage.condition("ResolvedRefs", "False", reason).await?;
        let message = stage.condition("Ready", "False", reason).await?;
        ensure!(message.contains(CLIENT) || message.contains(GATEWAY), "{damage:?}: {message}");
        stage.condition("Programmed", "True", "Programmed").await?;
        scene.exports_go_on().await?;
        let began = Instant::now();
        scene.repair().await?;
        repairs.push((reason, ready(stage, began).await?));
    }

    // 403 to what runs: it runs on.
    stage.cluster.kubectl(&["delete", "rolebinding", "client", "-n", ENGINE]).await?;
    eventually("the revoked right to show", REVOKED, async || {
        let object = stage.telemetryconfig().await.map_err(|error| error.to_string())?;
        let conditions = object["status"]["conditions"].to_string();
        if conditions.contains("RefNotPermitted") { Ok(()) } else { Err(conditions) }
    })
    .await?;
    scene.exports_go_on().await?;
    stage.cluster.apply(GRANT).await?;
    repairs.push(("RefNotPermitted", ready(stage, Instant::now()).await?));

    let slowest = repairs.iter().max_by_key(|(_, took)| *took).context("something was repaired")?;
    println!("{} repairs, Ready again after at most {slowest:?}", repairs.len());
    Planted::new(&[&scene.good.key_pem]).is_nowhere(stage, &[&pharos]).await
}

/// Waits until it is Ready again; how long after `repaired`.
async fn ready(stage: &Stage, repaired: Instant) -> anyhow::Result<Duration> {
    stage.condition("Ready", "True", "Ready").await?;
    stage.condition("ResolvedRefs", "True", "ResolvedRefs").await?;
    Ok(repaired.elapsed())
}
