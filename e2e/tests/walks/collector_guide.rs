//! docs/guides/opentelemetry-collector.md, run as it is written: its files, its commands, and what
//! it says one sees then. Replaced are the addresses and paths of one machine, and what keeps a
//! Collector from being one of several here.

use std::path::Path;

use anyhow::{Context, ensure};
use pharos_e2e::guide::{Guide, Step};
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_testkit::pki::{Authority, LOOPBACK};
use pharos_testkit::{Collector, Jaeger, PrometheusServer, eventually};

const REVIEWS: &str = "sum(kyverno_admission_requests_total)";
/// Objects created in each step.
const OBJECTS: usize = 10;

/// What the Collector passes on to, and what the certificates are made from.
struct Surroundings {
    prometheus: PrometheusServer,
    jaeger: Jaeger,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_the_guide_leads_where_it_says() -> anyhow::Result<()> {
    let guide = Guide::read("opentelemetry-collector.md")?;
    let dir = tempfile::tempdir()?;
    make_certificates(dir.path())?;
    let surroundings = Surroundings {
        prometheus: PrometheusServer::start(&dir.path().join("prometheus"), &[]).await?,
        jaeger: Jaeger::start(&dir.path().join("jaeger")).await?,
    };
    let stage = Stage::set().await?;
    let pharos = stage.pharos().await?;
    let mut traces = 0;
    for step in guide.steps() {
        // That of the step before ends here: what Pharos still has for it goes to the next one.
        let collector = start_collector(step, dir.path(), &surroundings).await?;
        follow(step, dir.path(), &collector, &stage).await?;
        stage.create(&step.slug(), OBJECTS).await?;
        let answered = stage.reviews_answered().await?;
        metrics_arrive(&surroundings.prometheus, answered).await?;
        traces = traces_arrive(&surroundings.jaeger, traces).await?;
        logs_arrive(&collector).await?;
    }
    pharos.terminate(PATIENCE).await?;
    Ok(())
}

/// `ca.crt`, `client.crt` and `client.key` as the guide's commands name them, and the Collector's.
fn make_certificates(dir: &Path) -> anyhow::Result<()> {
    let authority = Authority::new("guide")?;
    authority.write(dir, "ca")?;
    authority.write(dir, "client-ca")?;
    authority.server(&LOOPBACK)?.write(dir, "tls")?;
    authority.client("pharos")?.write(dir, "client")?;
    Ok(())
}

async fn start_collector(
    step: &Step,
    dir: &Path,
    surroundings: &Surroundings,
) -> anyhow::Result<Collector> {
    let jaeger = surroundings.jaeger.endpoint();
    let replaced = [
        ("0.0.0.0:4317", "@grpc@".to_owned()),
        ("0.0.0.0:4318", "@http@".to_owned()),
        (
            "http://prometheus.observability.svc:9090/api/v1/otlp",
            surroundings.prometheus.otlp_endpoint(),
        ),
        ("jaeger.observability.svc:4317", jaeger.trim_start_matches("http://").to_owned()),
        ("/var/log/otelcol/logs.json", "@logs@".to_owned()),
        ("/etc/otelcol/tls", dir.display().to_string()),
        ("flush_interval: 1s", "flush_interval: 50ms".to_owned()),
        // Or it would listen on port 8888.
        ("service:\n", "service:\n  telemetry: {metrics: {level: none}}\n".to_owned()),
    ];
    let (_, yaml) = step
        .files
        .iter()
        .find(|(name, _)| name.starts_with("collector"))
        .context("the step has no configuration of a Collector")?;
    let yaml = replaced.iter().fold(yaml.clone(), |yaml, (from, to)| yaml.replace(from, to));
    Collector::builder(&dir.join(step.slug())).config(&yaml).start().await
}

/// Writes the step's TelemetryConfig and runs its commands.
async fn follow(
    step: &Step,
    dir: &Path,
    collector: &Collector,
    stage: &Stage,
) -> anyhow::Result<()> {
    for (name, content) in &step.files {
        let address = format!("127.0.0.1:{}", collector.port());
        let content = content.replace("otel-collector.observability.svc:4317", &address);
        std::fs::write(dir.join(name), content)?;
    }
    for command in &step.commands {
        let arguments: Vec<String> = command[1..].iter().map(|it| in_folder(it, dir)).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        stage.cluster.kubectl(&arguments).await?;
    }
    Ok(())
}

/// An argument that names one of the guide's files, with the folder that it is in here.
fn in_folder(argument: &str, dir: &Path) -> String {
    let (flag, file) = argument.split_once('=').unwrap_or(("", argument));
    let path = dir.join(file);
    match (flag, path.is_file()) {
        (_, false) => argument.to_owned(),
        ("", true) => path.display().to_string(),
        (flag, true) => format!("{flag}={}", path.display()),
    }
}

async fn metrics_arrive(prometheus: &PrometheusServer, answered: f64) -> anyhow::Result<()> {
    eventually("every review to be counted in Prometheus", PATIENCE, async || {
        let sum = prometheus.sum(REVIEWS).await.map_err(|error| format!("{error:#}"))?;
        if sum == answered { Ok(()) } else { Err(format!("{sum}, not {answered}")) }
    })
    .await
}

/// Waits for traces that were not there before; says how many there are.
async fn traces_arrive(jaeger: &Jaeger, before: usize) -> anyhow::Result<usize> {
    eventually("the traces of this step in Jaeger", PATIENCE, async || {
        let traces = jaeger.traces("pharos").await.map_err(|error| format!("{error:#}"))?;
        if traces.len() >= before + OBJECTS {
            Ok(traces.len())
        } else {
            Err(format!("{} traces, before {before}", traces.len()))
        }
    })
    .await
}

async fn logs_arrive(collector: &Collector) -> anyhow::Result<()> {
    eventually("the log record of a denied review, with its trace", PATIENCE, async || {
        let logs = collector.logs().map_err(|error| format!("{error:#}"))?;
        let mut of_reviews = logs.iter().filter(|log| log.trace_id.is_some());
        let found = of_reviews.any(|log| log.body == "denied a request");
        if found { Ok(()) } else { Err(format!("it is not among {} records", logs.len())) }
    })
    .await
}

#[test]
fn the_guide_has_its_three_steps() -> anyhow::Result<()> {
    let guide = Guide::read("opentelemetry-collector.md")?;
    let steps: Vec<_> =
        guide.steps().iter().map(|it| (it.files.len(), it.commands.len())).collect();
    ensure!(steps == [(2, 3), (2, 4), (2, 4)], "{steps:?}");
    Ok(())
}
