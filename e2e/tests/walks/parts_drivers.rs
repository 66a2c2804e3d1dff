//! The testkit's drivers, against the parts that they drive.

use std::time::Duration;

use anyhow::{Context, ensure};
use pharos_testkit::pki::{Authority, LOOPBACK, Leaf};
use pharos_testkit::prometheus_server::{Health, Scrape};
use pharos_testkit::{Collector, Jaeger, PrometheusServer, Signal, eventually, ports};
use reqwest::{Certificate, Client, Identity, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

#[path = "parts_drivers/requests.rs"]
mod requests;

use requests::{TRACE, logs, metrics, spans};

const PATIENCE: Duration = Duration::from_secs(30);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const EXPOSITION: &str = "# TYPE reviews counter\n\
    reviews_total{allowed=\"true\"} 7.0 # {trace_id=\"5b8efff798038103d269b633813fc60c\"} 1.0\n\
    # EOF\n";

#[tokio::test]
async fn prometheus_scrapes_a_target_and_says_why_it_cannot_scrape_another() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (url, _server) = serve(EXPOSITION).await?;
    let [closed] = ports::free()?;
    let closed = Scrape::new("closed", &format!("http://127.0.0.1:{closed}/metrics"));
    let prometheus =
        PrometheusServer::start(dir.path(), &[Scrape::new("pharos", &url), closed]).await?;

    let labels = prometheus
        .until("reviews_total == 7", PATIENCE, |found| found.first().map(|it| it.labels.clone()))
        .await?;
    ensure!(labels["job"] == "pharos" && labels["allowed"] == "true", "{labels:?}");
    ensure!(prometheus.sum("1 + 1").await? == 2.0);
    let error = prometheus.query("reviews_total{").await.unwrap_err();
    ensure!(format!("{error:#}").contains("parse error"), "{error:#}");
    let exemplars = prometheus.exemplars("reviews_total").await?;
    ensure!(exemplars[0].labels["trace_id"] == TRACE, "{exemplars:?}");
    eventually("both targets to be judged", PATIENCE, async || {
        let targets = prometheus.targets().await.map_err(|error| format!("{error:#}"))?;
        let is = |job, health, error: &str| {
            let mut targets = targets.iter();
            targets.any(|it| it.job == job && it.health == health && it.last_error.contains(error))
        };
        let judged = is("pharos", Health::Up, "") && is("closed", Health::Down, "refused");
        judged.then_some(()).ok_or_else(|| format!("{targets:?}"))
    })
    .await?;

    prometheus.scrape(&[Scrape::new("renamed", &url)]).await?;
    prometheus.until("up{job='renamed'} == 1", PATIENCE, |found| found.first().map(drop)).await?;
    prometheus.stop().await
}

#[tokio::test]
async fn prometheus_shows_certificates_and_demands_them() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = Authority::new("root")?;
    let ca = root.write(dir.path(), "ca")?;
    let other_ca = Authority::new("other")?.write(dir.path(), "other")?;
    let server = root.server(&LOOPBACK)?.write(dir.path(), "server")?;
    let client = root.client("prometheus")?.write(dir.path(), "client")?;
    // Serves no metrics, but lets only those in who have a certificate.
    let builder = Collector::builder(&dir.path().join("collector"));
    let collector = builder.mutual_tls(&server, &ca).start().await?;
    let url = format!("{}/metrics", collector.http_endpoint());
    let scrapes = [
        Scrape::new("known", &url).trusting(&ca).client_certificate(&client),
        Scrape::new("unknown", &url).trusting(&ca),
        Scrape::new("distrusting", &url).trusting(&other_ca).client_certificate(&client),
        Scrape::new("elsewhere", &url).trusting(&ca).client_certificate(&client).server_name("x"),
    ];
    let prometheus = PrometheusServer::start(&dir.path().join("prometheus"), &scrapes).await?;
    for (job, expected) in [
        ("known", "HTTP status 404"),
        ("unknown", "certificate required"),
        ("distrusting", "unknown authority"),
        ("elsewhere", "not x"),
    ] {
        eventually(&format!("{job} to be judged"), PATIENCE, async || {
            let targets = prometheus.targets().await.map_err(|error| format!("{error:#}"))?;
            let target =
                targets.iter().find(|target| target.job == job).ok_or("it is not there")?;
            let as_expected = target.last_error.contains(expected);
            as_expected.then_some(()).ok_or_else(|| format!("{target:?}"))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn metrics_pass_through_the_collector_to_prometheus() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let prometheus = PrometheusServer::start(&dir.path().join("prometheus"), &[]).await?;
    let collector = Collector::builder(&dir.path().join("collector"))
        .bearer_token("secret")
        .processor("batch", json!({"timeout": "10ms"}))
        .exporter("debug", json!({"verbosity": "detailed"}), &Signal::ALL)
        .to_prometheus(&prometheus)
        .start()
        .await?;
    let url = format!("{}/v1/metrics", collector.http_endpoint());
    let client = Client::builder().no_proxy().build()?;
    let refused = client.post(&url).json(&metrics()?).send().await?;
    ensure!(refused.status() == StatusCode::UNAUTHORIZED, "{refused:?}");
    let accepted = client.post(&url).bearer_auth("secret").json(&metrics()?).send().await?;
    accepted.error_for_status()?;

    let histogram = prometheus
        .until("review_seconds", PATIENCE, |found| found.first()?.value.histogram().cloned())
        .await?;
    ensure!(histogram["count"] == "3" && histogram["sum"] == "0.75", "{histogram}");
    // Each exporter writes when its turn comes.
    let process = collector.process().context("it runs")?;
    eventually("the file and the log to be written", PATIENCE, async || {
        let exports = collector.exports().map_err(|error| error.to_string())?;
        let log = std::fs::read_to_string(process.log()).map_err(|error| error.to_string())?;
        let written = exports.len() == 1 && exports[0].total("review") == Some(3.0);
        let logged = log.contains("ExponentialHistogram");
        if written && logged { Ok(()) } else { Err(format!("{exports:?}, logged: {logged}")) }
    })
    .await
}

#[tokio::test]
async fn a_trace_passes_through_the_collector_to_jaeger() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = Authority::new("root")?;
    let ca = root.write(dir.path(), "ca")?;
    let server = root.intermediate("intermediate")?.server(&LOOPBACK)?;
    let server = server.write(dir.path(), "server")?;
    let jaeger = Jaeger::start(&dir.path().join("jaeger")).await?;
    let mut collector = Collector::builder(&dir.path().join("collector"))
        .mutual_tls(&server, &ca)
        .to_jaeger(&jaeger)
        .start()
        .await?;
    let url = format!("{}/v1/traces", collector.http_endpoint());
    let pair = root.client("pharos")?;
    let expired = root.issue(&Leaf::client("pharos").expired())?;
    for refused in [None, Some(&expired)] {
        let refused = client(&root, refused)?.post(&url).json(&spans()).send().await;
        ensure!(refused.is_err(), "{refused:?}");
    }
    client(&root, Some(&pair))?.post(&url).json(&spans()).send().await?.error_for_status()?;

    ensure!(jaeger.trace("1").await?.is_none());
    let trace = eventually("the trace in Jaeger", PATIENCE, async || {
        let trace = jaeger.trace(TRACE).await.map_err(|error| format!("{error:#}"))?;
        let whole = |trace: &pharos_testkit::jaeger::Trace| trace.spans.len() == 2;
        trace.filter(whole).ok_or_else(|| "it has not arrived".to_owned())
    })
    .await?;
    let child = trace.span("evaluate").context("the child")?;
    let parent = trace.parent(child).context("its parent")?;
    ensure!(parent.name == "POST /validate" && trace.roots().eq([parent]), "{trace:?}");
    ensure!(child.service == "pharos" && child.tags["policy"] == "require-team", "{child:?}");
    ensure!(child.tags["otel.status_description"] == "no team", "{child:?}");
    ensure!(child.events[0]["event"] == "denied", "{child:?}");
    ensure!(parent.tags["span.kind"] == "server", "{parent:?}");
    ensure!(parent.resource["service.instance.id"] == "x", "{parent:?}");
    ensure!(jaeger.services().await? == ["pharos"]);
    ensure!(jaeger.traces("pharos").await? == [trace]);
    ensure!(jaeger.traces("absent").await?.is_empty());

    collector.stop().await?;
    let received = collector.spans()?;
    ensure!(received.len() == 2, "{received:?}");
    let child = received.iter().find(|span| span.name == "evaluate").context("the child")?;
    ensure!(child.trace_id == TRACE && child.parent.is_some(), "{child:?}");
    collector.restart().await?;
    client(&root, Some(&pair))?.post(&url).json(&spans()).send().await?.error_for_status()?;
    eventually("spans after a restart", PATIENCE, async || {
        let spans = collector.spans().map_err(|error| format!("{error:#}"))?.len();
        (spans == 4).then_some(()).ok_or_else(|| format!("there are {spans}"))
    })
    .await
}

#[tokio::test]
async fn a_collector_takes_a_configuration_of_the_tests_own() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let yaml = "receivers: {otlp: {protocols: {http: {endpoint: '@http@'}}}}\n\
        exporters: {file: {path: @logs@, append: true, flush_interval: 50ms}}\n\
        service:\n  telemetry: {metrics: {level: none}}\n  pipelines:\n    \
        logs: {receivers: [otlp], exporters: [file]}\n";
    let collector = Collector::builder(dir.path()).config(yaml).start().await?;
    let client = Client::builder().no_proxy().build()?;
    let url = |signal| format!("{}/v1/{signal}", collector.http_endpoint());
    let traces = client.post(url("traces")).json(&spans()).send().await?;
    ensure!(traces.status() == StatusCode::NOT_FOUND, "{traces:?}");
    client.post(url("logs")).json(&logs()).send().await?.error_for_status()?;
    let record = eventually("the record", PATIENCE, async || {
        let records = collector.logs().map_err(|error| format!("{error:#}"))?;
        records.first().cloned().ok_or_else(|| "there is none".to_owned())
    })
    .await?;
    ensure!(record.body == "a Pod was denied" && record.severity == 13, "{record:?}");
    ensure!(record.trace_id.as_deref() == Some(TRACE), "{record:?}");
    ensure!(record.span_id.as_deref() == Some("eee19b7ec3c1b174"), "{record:?}");
    ensure!(record.attributes["count"] == "3", "{record:?}");
    ensure!(record.resource["service.name"] == "pharos", "{record:?}");
    Ok(())
}

#[tokio::test]
async fn a_collector_demands_certificates_of_grpc_clients_too() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = Authority::new("root")?;
    let ca = root.write(dir.path(), "ca")?;
    let server = root.server(&LOOPBACK)?.write(dir.path(), "server")?;
    let client = root.client("sender")?.write(dir.path(), "client")?;
    let receiver = Collector::builder(&dir.path().join("receiver"));
    let receiver = receiver.mutual_tls(&server, &ca).start().await?;
    let to_receiver = |tls| json!({"endpoint": receiver.endpoint(), "tls": tls});
    let known = json!({"ca_file": ca, "cert_file": client.certificate, "key_file": client.key});
    let sender = Collector::builder(&dir.path().join("sender"))
        .exporter("otlp/unknown", to_receiver(json!({"ca_file": ca})), &[Signal::Traces])
        .exporter("otlp/known", to_receiver(known), &[Signal::Logs])
        .start()
        .await?;
    let http = Client::builder().no_proxy().build()?;
    for (signal, request) in [("traces", spans()), ("logs", logs())] {
        let url = format!("{}/v1/{signal}", sender.http_endpoint());
        http.post(url).json(&request).send().await?.error_for_status()?;
    }
    eventually("the record of the known one", PATIENCE, async || {
        let records = receiver.logs().map_err(|error| format!("{error:#}"))?;
        records.first().map(drop).ok_or_else(|| "there is none".to_owned())
    })
    .await?;
    let log = sender.process().context("it runs")?.log();
    eventually("the other to be refused", PATIENCE, async || {
        let log = std::fs::read_to_string(log).map_err(|error| error.to_string())?;
        log.contains("certificate required").then_some(()).ok_or_else(|| "it is not".to_owned())
    })
    .await?;
    ensure!(receiver.spans()?.is_empty());
    Ok(())
}

/// Answers every request with this exposition, for as long as the handle lives.
async fn serve(exposition: &'static str) -> anyhow::Result<(String, AbortOnDropHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/metrics", listener.local_addr()?);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {OPEN_METRICS}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{exposition}",
        exposition.len()
    );
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // A request of Prometheus fits in one read. One that went away is no concern.
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Ok((url, AbortOnDropHandle::new(serving)))
}

fn client(root: &Authority, pair: Option<&pharos_testkit::pki::Pair>) -> anyhow::Result<Client> {
    let mut builder = Client::builder()
        .no_proxy()
        .tls_certs_only([Certificate::from_pem(root.pem().as_bytes())?]);
    if let Some(pair) = pair {
        let pem = format!("{}{}", pair.key_pem, pair.certificate_pem);
        builder = builder.identity(Identity::from_pem(pem.as_bytes())?);
    }
    Ok(builder.build()?)
}
