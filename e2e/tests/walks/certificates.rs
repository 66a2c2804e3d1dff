//! The webhook's own certificate: one CA for all who start together.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use pharos_e2e::replicas::Replicas;
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage};
use pharos_e2e::traffic::Traffic;
use pharos_testkit::{Pharos, WebhookTarget, eventually, prometheus};
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

/// The certificates of a bundle.
fn certificates(bundle: &[u8]) -> anyhow::Result<Vec<String>> {
    const END: &str = "-----END CERTIFICATE-----\n";
    Ok(std::str::from_utf8(bundle)?.split_inclusive(END).map(str::to_owned).collect())
}

/// Waits until more reviews were answered.
async fn more_reviews(stage: &Stage) -> anyhow::Result<()> {
    let before = stage.reviews_answered().await?;
    eventually("more reviews to be answered", PATIENCE, async || {
        let answered = stage.reviews_answered().await.map_err(|error| error.to_string())?;
        if answered > before + 100.0 { Ok(()) } else { Err(format!("{answered} reviews")) }
    })
    .await
}

/// A replica that is to be called by another name, as in a rollout, has the certificate replaced in
/// the way in which it is renewed ahead of its end: without waiting for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_and_no_review_fails() -> anyhow::Result<()> {
    let stage = Arc::new(Stage::set().await?);
    let replicas = Replicas::start(&stage, 2).await?;
    let first = certificates(&published_ca(&stage).await?)?;
    ensure!(first.len() == 1, "{first:?} are published");
    let traffic = Traffic::start(&stage, "replaced");
    more_reviews(&stage).await?;

    let renamed = WebhookTarget::Service(format!("{ENGINE}/renamed"));
    let renamed = Pharos::builder(&stage.cluster).name("renamed").target(renamed).spawn()?;
    let second = eventually("the old CA to be published beside a new one", PATIENCE, async || {
        let published = published_ca(&stage).await.map_err(|error| error.to_string())?;
        let published = certificates(&published).map_err(|error| error.to_string())?;
        match &published[..] {
            [new, old] if *old == first[0] => Ok(new.clone()),
            _ => Err(format!("{published:?}")),
        }
    })
    .await?;
    let all = replicas.running.iter().map(|(_, pharos)| pharos).chain([&renamed]);
    for pharos in all {
        eventually("the new certificate to be served", PATIENCE, async || {
            post(pharos, second.as_bytes(), "not a review").await.map_err(|error| error.to_string())
        })
        .await?;
        let old = post(pharos, first[0].as_bytes(), "not a review").await;
        ensure!(old.is_err(), "the old certificate is served after the new one");
    }
    more_reviews(&stage).await?;
    let created = traffic.stop().await?;
    println!("{created:?}, and none that failed");
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
