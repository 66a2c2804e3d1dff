//! While an object is no good, what ran before goes on as if it were its own: its Secrets rotate,
//! before and after a restart.

use anyhow::ensure;
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage, telemetryconfig};
use pharos_testkit::pki::{Authority, LOOPBACK};
use pharos_testkit::{Pharos, eventually};
use reqwest::{Certificate, Client};
use serde_json::json;

/// Scraped by TLS, with a certificate from the Secret `serving`.
const SCRAPED: &str = "{name: scrapes, type: Prometheus, \
    prometheus: {tls: {certificateRef: {name: serving}}}}";

/// The same, and pushed with a header from a Secret that there is not.
fn pushed_too() -> String {
    let header = "{name: authorization, valueFrom: {secretKeyRef: {name: later, key: value}}}";
    telemetryconfig(&format!(
        "exporters: [{SCRAPED}, {{name: gateway, type: OTLP, otlp: {{protocol: GRPC, \
         endpoint: 'http://127.0.0.1:9', headers: [{header}]}}}}]\n  \
         metrics: {{exporters: [scrapes, gateway]}}"
    ))
}

/// Puts a certificate of a new authority into the Secret, and waits until scrapers are shown it.
async fn rotate(stage: &Stage, pharos: &Pharos, name: &str) -> anyhow::Result<()> {
    let authority = Authority::new(name)?;
    let pair = authority.server(&LOOPBACK)?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "serving", "namespace": ENGINE},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": pair.certificate_pem, "tls.key": pair.key_pem},
    });
    stage.cluster.apply(&secret.to_string()).await?;
    let url = format!("https://127.0.0.1:{}/metrics", pharos.ports().metrics);
    let trusted = Certificate::from_pem(authority.pem().as_bytes())?;
    eventually(&format!("a scrape with the certificate {name}"), PATIENCE, async || {
        // A connection that is kept would show the certificate that it was made with.
        let client = Client::builder().tls_certs_only([trusted.clone()]).no_proxy().build();
        let scrape = client.map_err(|error| error.to_string())?.get(&url).send().await;
        scrape.map(drop).map_err(|error| format!("{error:?}"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_instead_of_a_bad_object_rotates_before_and_after_a_restart() -> anyhow::Result<()>
{
    let stage = Stage::set().await?;
    let pharos = stage.pharos().await?;
    let good =
        telemetryconfig(&format!("exporters: [{SCRAPED}]\n  metrics: {{exporters: [scrapes]}}"));
    stage.cluster.apply(&good).await?;
    rotate(&stage, &pharos, "one").await?;
    stage.condition("Ready", "True", "Ready").await?;
    eventually("what every replica programmed to be kept", PATIENCE, async || {
        let get = ["get", "controllerrevisions", "-n", ENGINE, "-o", "name"];
        let names = stage.cluster.kubectl(&get).await.map_err(|error| error.to_string())?;
        if names.is_empty() { Err("there is no revision".to_owned()) } else { Ok(()) }
    })
    .await?;

    stage.cluster.apply(&pushed_too()).await?;
    stage.condition("ResolvedRefs", "False", "SecretNotFound").await?;
    stage.condition("Programmed", "False", "RunningPreviousConfig").await?;
    rotate(&stage, &pharos, "two").await?;

    pharos.terminate(PATIENCE).await?;
    let pharos = stage.pharos().await?;
    rotate(&stage, &pharos, "three").await?;
    stage.condition("Programmed", "False", "RunningPreviousConfig").await?;
    rotate(&stage, &pharos, "four").await?;

    let later = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "later", "namespace": ENGINE},
        "stringData": {"value": "here"},
    });
    stage.cluster.apply(&later.to_string()).await?;
    stage.condition("Ready", "True", "Ready").await?;
    let status = &stage.telemetryconfig().await?["status"];
    ensure!(status["exporters"] == "scrapes, gateway", "{status}");
    Ok(())
}
