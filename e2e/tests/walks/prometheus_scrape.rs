//! A stock Prometheus scrapes Pharos: native histograms, exemplars, TLS with a client certificate,
//! and a serving certificate that is rotated meanwhile.

use anyhow::{Context, ensure};
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage, telemetryconfig};
use pharos_testkit::pki::{Authority, LOOPBACK, Pair};
use pharos_testkit::prometheus_server::Scrape;
use pharos_testkit::{PrometheusServer, eventually};

const DURATION: &str = "kyverno_admission_review_duration_seconds";
const REVIEWS: &str = "sum(kyverno_admission_requests_total)";

/// Metrics scraped by TLS, with an exponential histogram; traces, so that there are exemplars.
fn with_tls(collector: &str) -> String {
    telemetryconfig(&format!(
        "exporters:
  - name: prometheus
    type: Prometheus
    prometheus:
      tls: {{certificateRef: {{name: serving}}, clientCARef: {{kind: ConfigMap, name: scrapers, key: ca.crt}}}}
  - name: collector
    type: OTLP
    otlp: {{protocol: GRPC, endpoint: '{collector}'}}
  metrics:
    exporters: [prometheus]
    views:
    - name: native
      selector: {{instrumentName: {DURATION}}}
      stream: {{aggregation: {{type: Base2ExponentialHistogram}}}}
  traces:
    exporters: [collector]"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn native_histograms_and_exemplars_arrive_by_tls_through_a_rotation() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let dir = tempfile::tempdir()?;
    let authority = Authority::new("scrapes")?;
    let ca = authority.write(dir.path(), "ca")?;
    let client = authority.client("prometheus")?.write(dir.path(), "client")?;
    set_serving(&stage, &authority.server(&LOOPBACK)?).await?;
    let scrapers = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "scrapers", "namespace": ENGINE},
        "data": {"ca.crt": authority.pem()},
    });
    stage.cluster.apply(&scrapers.to_string()).await?;

    let pharos = stage.pharos().await?;
    stage.configure(&with_tls(&stage.collector.endpoint())).await?;
    // Explicit buckets cannot become exponential ones: that metric starts again with the view.
    let before = stage.reviews_answered().await?;
    let url = pharos.metrics_url().replace("http://", "https://");
    let scrapes = [
        Scrape::new("pharos", &url).trusting(&ca).client_certificate(&client),
        Scrape::new("stranger", &url).trusting(&ca),
    ];
    let prometheus = PrometheusServer::start(&dir.path().join("prometheus"), &scrapes).await?;
    stage.create("before", 10).await?;
    all_reviews(&stage, &prometheus).await?;

    // A histogram without buckets of its own: only a native one has a count that this can read.
    let reviews = format!("sum(histogram_count({DURATION}))");
    let answered = stage.reviews_answered().await? - before;
    prometheus
        .until(&reviews, PATIENCE, |found| {
            found.first()?.value.number().filter(|count| *count >= answered)
        })
        .await?;
    let exemplars = eventually("an exemplar with a trace", PATIENCE, async || {
        let found = prometheus.exemplars(DURATION).await.map_err(|error| format!("{error:#}"))?;
        if found.is_empty() { Err("none".to_owned()) } else { Ok(found) }
    })
    .await?;
    let trace = exemplars[0].labels.get("trace_id").context("an exemplar names its trace")?;
    let known = eventually("the trace at the Collector", PATIENCE, async || {
        let spans = stage.collector.spans().map_err(|error| format!("{error:#}"))?;
        let found = spans.iter().find(|span| span.trace_id == *trace).map(|it| it.name.clone());
        found.ok_or_else(|| format!("{trace} is not among {} spans", spans.len()))
    });
    let name = known.await?;
    ensure!(!name.is_empty(), "an exemplar leads to a span");

    // Only the new certificate is of this authority: what is scraped from here on was served by it.
    let next = Authority::new("next")?;
    let next_ca = next.write(dir.path(), "next-ca")?;
    set_serving(&stage, &next.server(&LOOPBACK)?).await?;
    let rotated = Scrape::new("pharos", &url).trusting(&next_ca).client_certificate(&client);
    let stranger = Scrape::new("stranger", &url).trusting(&next_ca);
    prometheus.scrape(&[rotated, stranger]).await?;
    stage.create("after", 10).await?;
    all_reviews(&stage, &prometheus).await?;
    prometheus.until("up{job='stranger'} == 0", PATIENCE, |found| found.first().map(drop)).await?;
    let resets = prometheus.sum("sum(resets(kyverno_admission_requests_total[5m]))").await?;
    ensure!(resets == 0.0, "the rotation is no reset");
    prometheus.stop().await
}

async fn set_serving(stage: &Stage, pair: &Pair) -> anyhow::Result<()> {
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "serving", "namespace": ENGINE},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": pair.certificate_pem, "tls.key": pair.key_pem},
    });
    stage.cluster.apply(&secret.to_string()).await?;
    Ok(())
}

async fn all_reviews(stage: &Stage, prometheus: &PrometheusServer) -> anyhow::Result<()> {
    let answered = stage.reviews_answered().await?;
    eventually("every review to be counted in Prometheus", PATIENCE, async || {
        let sum = prometheus.sum(REVIEWS).await.map_err(|error| format!("{error:#}"))?;
        if sum == answered { Ok(()) } else { Err(format!("{sum}, not {answered}")) }
    })
    .await
}
