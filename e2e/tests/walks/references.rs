//! Secrets that a TelemetryConfig refers to come, change, go bad and go while Pharos runs, and each
//! of it reaches the pipeline and the conditions without a restart.

use std::time::Duration;

use anyhow::{Context, ensure};
use pharos_e2e::planted::Planted;
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage, telemetryconfig};
use pharos_testkit::pki::{Authority, LOOPBACK, Leaf, Pair};
use pharos_testkit::{Collector, Pharos, eventually};
use reqwest::{Certificate, Client};
use serde_json::Value;

/// What the Collector asks for. Nothing that is published may hold it.
const TOKEN: &str = "planted-and-right";
/// Another one that it does not take.
const WRONG: &str = "planted-and-wrong";

fn with_token(endpoint: &str) -> String {
    telemetryconfig(&format!(
        "exporters: [{{name: gateway, type: OTLP, otlp: {{protocol: GRPC, endpoint: '{endpoint}', \
         headers: [{{name: authorization, valueFrom: {{secretKeyRef: {{name: token, key: value}}}}}}]}}}}]\n  \
         metrics: {{exporters: [gateway], exportPeriodSeconds: 1}}"
    ))
}

/// The Secret `token`, with this under the key `value`.
async fn set_token(stage: &Stage, token: &str) -> anyhow::Result<()> {
    let header = format!("Bearer {token}\n");
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token", "namespace": ENGINE},
        "stringData": {"value": header},
    });
    stage.cluster.apply(&secret.to_string()).await?;
    Ok(())
}

async fn set_certificate(stage: &Stage, certificate: &str, key: &str) -> anyhow::Result<()> {
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "serving", "namespace": ENGINE},
        "type": "kubernetes.io/tls", "stringData": {"tls.crt": certificate, "tls.key": key},
    });
    stage.cluster.apply(&secret.to_string()).await?;
    Ok(())
}

async fn config_hash(stage: &Stage) -> anyhow::Result<String> {
    let object = stage.telemetryconfig().await?;
    let hash = object["status"]["replicas"][0]["configHash"].as_str();
    Ok(hash.context("no hash is published")?.to_owned())
}

async fn committed_reloads(pharos: &Pharos) -> anyhow::Result<u64> {
    let (_, debug) = pharos.admin("/debug/telemetry").await?;
    let debug: Value = serde_json::from_str(&debug)?;
    debug["reloads"]["committed"].as_u64().context("reloads are counted")
}

/// Waits until more arrives than what is there now.
async fn exports_go_on(collector: &Collector) -> anyhow::Result<()> {
    let before = collector.exports()?.len();
    eventually("another export", PATIENCE, async || {
        let now = collector.exports().map_err(|error| error.to_string())?.len();
        if now > before { Ok(()) } else { Err(format!("{now} exports, as before")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_follows_its_secret_and_what_goes_bad_leaves_what_was_good() -> anyhow::Result<()>
{
    let stage = Stage::set().await?;
    let dir = tempfile::tempdir()?;
    let collector = Collector::builder(dir.path()).bearer_token(TOKEN).start().await?;
    let pharos = stage.pharos().await?;

    stage.cluster.apply(&with_token(&collector.endpoint())).await?;
    let message = stage.condition("ResolvedRefs", "False", "SecretNotFound").await?;
    let field = "spec.exporters[gateway].otlp.headers[authorization].valueFrom.secretKeyRef: ";
    ensure!(message.starts_with(field) && message.contains("Secret \"token\""), "{message}");
    stage.condition("Programmed", "False", "RunningDefaults").await?;
    stage.condition("Ready", "False", "SecretNotFound").await?;

    // Created later.
    set_token(&stage, TOKEN).await?;
    stage.condition("Ready", "True", "Ready").await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    exports_go_on(&collector).await?;

    // Its metadata alone.
    let (hash, reloads) = (config_hash(&stage).await?, committed_reloads(&pharos).await?);
    stage.cluster.kubectl(&["annotate", "secret", "token", "-n", ENGINE, "a=b"]).await?;
    eventually("the new version to be published", PATIENCE, async || {
        let now = config_hash(&stage).await.map_err(|error| error.to_string())?;
        if now == hash { Err(now) } else { Ok(()) }
    })
    .await?;
    ensure!(committed_reloads(&pharos).await? == reloads, "equal content was put in force again");

    // Rotated: the Collector is what tells whether the value is in use.
    set_token(&stage, WRONG).await?;
    stage.condition("ExportHealthy", "False", "Unauthenticated").await?;
    stage.condition("Ready", "True", "Ready").await?;
    set_token(&stage, TOKEN).await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;

    // Gone bad, three times. The generation stays in force, with what was read before.
    let no_key = ["patch", "secret", "token", "-n", ENGINE, "--type=json", "-p"];
    let no_key = [&no_key[..], &[r#"[{"op": "remove", "path": "/data/value"}]"#]].concat();
    stage.cluster.kubectl(&no_key).await?;
    stage.condition("ResolvedRefs", "False", "SecretKeyMissing").await?;
    set_token(&stage, &format!("{WRONG}\nx: y")).await?;
    stage.condition("ResolvedRefs", "False", "InvalidHeaderValue").await?;
    stage.cluster.kubectl(&["delete", "secret", "token", "-n", ENGINE]).await?;
    stage.condition("Ready", "False", "SecretNotFound").await?;
    stage.condition("Programmed", "True", "Programmed").await?;
    exports_go_on(&collector).await?;

    // And another one of that name.
    set_token(&stage, TOKEN).await?;
    stage.condition("Ready", "True", "Ready").await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    nothing_secret_is_published(&stage, &pharos).await
}

async fn nothing_secret_is_published(stage: &Stage, pharos: &Pharos) -> anyhow::Result<()> {
    Planted::new(&[TOKEN, WRONG]).is_nowhere(stage, &[pharos]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_read_is_mended_by_the_rule_that_status_prints() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let dir = tempfile::tempdir()?;
    let collector = Collector::builder(dir.path()).bearer_token(TOKEN).start().await?;
    set_token(&stage, TOKEN).await?;
    stage.cluster.apply(include_str!("../../manifests/without-secrets.yaml")).await?;
    let token = ["create", "token", "without-secrets", "-n", ENGINE];
    let token = stage.cluster.kubectl(&token).await?;
    let user = stage.kubectl().with_token("without-secrets", token.trim())?;
    let pharos = Pharos::builder(&user).start().await?;
    // Or there would be nothing to export.
    stage.webhook_in_force().await?;

    stage.cluster.apply(&with_token(&collector.endpoint())).await?;
    let message = stage.condition("ResolvedRefs", "False", "RefNotPermitted").await?;
    stage.condition("Ready", "False", "RefNotPermitted").await?;
    let rule = message.split_once("ServiceAccount: ").context("a rule")?.1;
    let role = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n\
         metadata: {{name: more, namespace: {ENGINE}}}\nrules:\n- {rule}\n"
    );
    stage.cluster.apply(&role).await?;
    let bind = ["create", "rolebinding", "more", "-n", ENGINE, "--role=more"];
    let subject = "--serviceaccount=pharos:without-secrets";
    stage.cluster.kubectl(&[&bind[..], &[subject]].concat()).await?;
    stage.condition("Ready", "True", "Ready").await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;

    // A watch that runs goes on; the next one, within 65 s, is refused.
    stage.cluster.kubectl(&["delete", "rolebinding", "more", "-n", ENGINE]).await?;
    eventually("the revoked right to show", Duration::from_secs(120), async || {
        let object = stage.telemetryconfig().await.map_err(|error| error.to_string())?;
        let conditions = object["status"]["conditions"].to_string();
        if conditions.contains("RefNotPermitted") { Ok(()) } else { Err(conditions) }
    })
    .await?;
    stage.condition("Programmed", "True", "Programmed").await?;
    exports_go_on(&collector).await?;
    nothing_secret_is_published(&stage, &pharos).await
}

/// Scrapes by TLS, trusting this authority.
async fn scrape(pharos: &Pharos, authority: &Authority) -> anyhow::Result<String> {
    let trusted = Certificate::from_pem(authority.pem().as_bytes())?;
    let client = Client::builder().tls_certs_only([trusted]).no_proxy().build()?;
    let url = format!("https://127.0.0.1:{}/metrics", pharos.ports().metrics);
    Ok(client.get(url).send().await?.error_for_status()?.text().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_judged_before_they_are_used() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let pharos = stage.pharos().await?;
    let authority = Authority::new("scrapes")?;
    let of = |leaf: Leaf| authority.issue(&leaf);
    let good = of(Leaf::server(&LOOPBACK).valid_for(Duration::from_hours(24 * 300)))?;
    let spec = "exporters: [{name: p, type: Prometheus, prometheus: {tls: {certificateRef: {name: serving}}}}]\n  \
                metrics: {exporters: [p]}";
    stage.cluster.apply(&telemetryconfig(spec)).await?;
    stage.condition("ResolvedRefs", "False", "SecretNotFound").await?;

    set_certificate(&stage, &good.certificate_pem, "garbage").await?;
    let message = stage.condition("ResolvedRefs", "False", "InvalidCertificate").await?;
    ensure!(message.contains("Secret \"serving\"") && message.contains("tls.key"), "{message}");
    set_certificate(&stage, &good.certificate_pem, &good.key_pem).await?;
    stage.condition("Ready", "True", "Ready").await?;
    ensure!(scrape(&pharos, &authority).await?.contains("kyverno_"), "no metrics");
    let expires = stage.telemetryconfig().await?["status"]["nextCertificateExpiryTime"].clone();
    ensure!(expires.is_string(), "no expiry is published: {expires}");

    // Certificate and key in two updates.
    let next = of(Leaf::server(&LOOPBACK).valid_for(Duration::from_hours(1)))?;
    set_certificate(&stage, &next.certificate_pem, &good.key_pem).await?;
    stage.condition("ResolvedRefs", "False", "KeyPairMismatch").await?;
    stage.condition("Programmed", "True", "Programmed").await?;
    scrape(&pharos, &authority).await?;
    set_certificate(&stage, &next.certificate_pem, &next.key_pem).await?;
    let message = stage.condition("ResolvedRefs", "True", "ResolvedRefs").await?;
    ensure!(message.is_empty(), "an hour of two is left: {message}");
    let soon = stage.telemetryconfig().await?["status"]["nextCertificateExpiryTime"].clone();
    ensure!(soon != expires, "the expiry did not follow the certificate");

    let Pair { certificate_pem, key_pem } = of(Leaf::server(&LOOPBACK).expired())?;
    set_certificate(&stage, &certificate_pem, &key_pem).await?;
    stage.condition("Ready", "False", "CertificateExpired").await?;
    scrape(&pharos, &authority).await?;
    let late = of(Leaf::server(&LOOPBACK).valid_for(Duration::from_secs(600)))?;
    set_certificate(&stage, &late.certificate_pem, &late.key_pem).await?;
    let message = stage.condition("ResolvedRefs", "True", "CertificateExpiringSoon").await?;
    ensure!(message.contains("Secret \"serving\""), "{message}");
    stage.condition("Ready", "True", "Ready").await?;
    Ok(())
}
