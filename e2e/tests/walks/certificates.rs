//! The webhook's own certificate: one CA for all who start together.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage};
use pharos_testkit::{Pharos, eventually, prometheus};
use reqwest::{Certificate, Client, StatusCode};

const STARTERS: usize = 5;
const SERVER_NAME: &str = "pharos.pharos.svc";

/// POSTs to a process as the API server would: by the Service's name, trusting this CA only.
async fn post(pharos: &Pharos, ca: &[u8], body: &str) -> anyhow::Result<(StatusCode, String)> {
    let address = SocketAddr::from(([127, 0, 0, 1], pharos.ports().webhook));
    let client = Client::builder()
        .tls_certs_only([Certificate::from_pem(ca)?])
        .resolve(SERVER_NAME, address)
        .no_proxy()
        .build()?;
    let url = format!("https://{SERVER_NAME}:{}/validate/ignore", address.port());
    let request = client.post(url).header("content-type", "application/json").body(body.to_owned());
    let response = request.send().await?;
    Ok((response.status(), response.text().await?))
}

async fn published_ca(stage: &Stage) -> anyhow::Result<Vec<u8>> {
    let list = ["get", "validatingwebhookconfigurations", "-o", "json"];
    let list: serde_json::Value = serde_json::from_str(&stage.cluster.kubectl(&list).await?)?;
    let bundles: BTreeSet<_> = list["items"]
        .as_array()
        .context("a list")?
        .iter()
        .flat_map(|item| item["webhooks"].as_array().cloned().unwrap_or_default())
        .filter_map(|webhook| webhook["clientConfig"]["caBundle"].as_str().map(str::to_owned))
        .collect();
    ensure!(bundles.len() == 1, "{} different CA bundles are published", bundles.len());
    decoded(bundles.first().context("no CA bundle is published")?)
}

fn decoded(base64: &str) -> anyhow::Result<Vec<u8>> {
    use base64::Engine as _;
    Ok(base64::engine::general_purpose::STANDARD.decode(base64)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn five_that_start_at_once_serve_one_ca() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let mut starters: Vec<_> = (0..STARTERS)
        .map(|n| Pharos::builder(&stage.cluster).name(&format!("starter-{n}")).spawn())
        .collect::<anyhow::Result<_>>()?;
    try_join_all(starters.iter_mut().map(Pharos::wait_ready)).await?;

    let ca = eventually("a webhook configuration", PATIENCE, async || {
        published_ca(&stage).await.map_err(|error| error.to_string())
    })
    .await?;
    let secret =
        ["get", "secret", "pharos-webhook-tls", "-n", ENGINE, "-o", r"jsonpath={.data.ca\.crt}"];
    ensure!(decoded(&stage.cluster.kubectl(&secret).await?)? == ca, "the Secret holds another CA");
    for starter in &starters {
        let (status, body) = post(starter, &ca, "not a review").await?;
        ensure!(status == StatusCode::BAD_REQUEST, "{status} {body}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_review_gets_400_and_harms_nobody() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let pharos = stage.pharos().await?;
    let ca = published_ca(&stage).await?;
    let deep = "[".repeat(100_000);
    let bodies = ["", "{", "null", "{}", r#"{"apiVersion":"admission.k8s.io/v1beta1"}"#, &deep];
    for body in bodies {
        let (status, answer) = post(&pharos, &ca, body).await?;
        ensure!(status == StatusCode::BAD_REQUEST, "{status} {answer}");
        ensure!(!answer.is_empty(), "no explanation");
    }
    let refused = "pharos_admission_refused_requests_total";
    let refused = prometheus::sum(&pharos.metrics().await?, refused, &[("reason", "BadRequest")]);
    ensure!(refused == bodies.len() as f64, "{refused} of {} are counted", bodies.len());
    stage.webhook_in_force().await?;
    stage.reviews_answered().await?;
    Ok(())
}
