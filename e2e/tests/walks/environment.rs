//! Of the `OTEL_*` environment only the service's name and resource attributes count.

use anyhow::{Context, ensure};
use pharos_e2e::stage::{PATIENCE, REVIEWS, Stage, telemetryconfig};
use pharos_testkit::{Pharos, eventually};

/// Each would break or redirect the export if anything listened to it.
const WRONG: [(&str, &str); 29] = [
    ("OTEL_SDK_DISABLED", "true"),
    ("OTEL_METRICS_EXPORTER", "none"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "86400000"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:9"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=stolen"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "nonsense"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
    ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "nonsense"),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "always_off"),
    ("OTEL_TRACES_EXPORTER", "none"),
    ("OTEL_TRACES_SAMPLER", "always_off"),
    ("OTEL_TRACES_SAMPLER_ARG", "nonsense"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9"),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=stolen"),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/nowhere/client.pem"),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere/client.key"),
    ("OTEL_LOGS_EXPORTER", "none"),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:9"),
    ("OTEL_BSP_SCHEDULE_DELAY", "86400000"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "1"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "86400000"),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0"),
    ("OTEL_PROPAGATORS", "none"),
    ("OTEL_LOG_LEVEL", "nonsense"),
    ("OTEL_CONFIG_FILE", "/nowhere/otel.yaml"),
];

/// Metrics, traces and logs to one endpoint.
fn all_signals(endpoint: &str) -> String {
    telemetryconfig(&format!(
        "exporters: [{{name: gateway, type: OTLP, otlp: {{protocol: GRPC, endpoint: '{endpoint}'}}}}]
  metrics: {{exporters: [gateway], exportPeriodSeconds: 1}}
  traces: {{exporters: [gateway], batch: {{scheduleDelayMilliseconds: 200}}}}
  logs: {{exporters: [gateway], batch: {{scheduleDelayMilliseconds: 200}}}}"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_variable_but_name_and_attributes_reaches_the_pipeline() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let builder = Pharos::builder(&stage.cluster)
        .environment("OTEL_SERVICE_NAME", "checkout")
        .environment("OTEL_RESOURCE_ATTRIBUTES", "team=web,service.instance.id=stolen");
    let builder = WRONG.iter().fold(builder, |it, (name, value)| it.environment(name, value));
    let _pharos = builder.start().await?;
    stage.webhook_in_force().await?;
    stage.configure(&all_signals(&stage.collector.endpoint())).await?;
    stage.create("some", 10).await?;

    let answered = stage.reviews_answered().await?;
    let last = eventually("all reviews at the Collector", PATIENCE, async || {
        let exports = stage.collector.exports().map_err(|error| error.to_string())?;
        let last = exports.last().cloned().ok_or("no export")?;
        let total = last.total(REVIEWS).unwrap_or_default();
        if total == answered { Ok(last) } else { Err(format!("{total}, not {answered}")) }
    })
    .await?;
    let series = &last.points.first().context("a point")?.series;
    let attribute = |name: &str| series.resource.get(name).map(String::as_str);
    ensure!(attribute("service.name") == Some("checkout"), "{:?}", series.resource);
    ensure!(attribute("team") == Some("web"), "{:?}", series.resource);
    eventually("spans with their attributes, and log records", PATIENCE, async || {
        let spans = stage.collector.spans().map_err(|error| error.to_string())?;
        let logs = stage.collector.logs().map_err(|error| error.to_string())?;
        let whole = spans.iter().any(|span| !span.attributes.is_empty());
        if whole && !logs.is_empty() {
            Ok(())
        } else {
            Err(format!("{} spans, {} records", spans.len(), logs.len()))
        }
    })
    .await?;
    ensure!(series.instance_id().is_some_and(|id| id != "stolen"), "{:?}", series.resource);
    Ok(())
}
