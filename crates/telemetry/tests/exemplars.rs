//! A measurement made inside a span that is sampled leads from its metric to its trace.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_proto::tonic::metrics::v1::Exemplar;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use pharos_telemetry::config::{Parent, RootSampler, Sampler};
use pharos_telemetry::propagation::current_span;
use pharos_telemetry::{
    Catalogue, Config, Declaration, ExpositionFormat, Histogram, InstrumentKind, Pipeline, Reloader,
};
use support::records::RecordReceiver;
use support::{Export, PATIENCE, Receiver, commit, start_with};
use tracing_subscriber::layer::SubscriberExt as _;

const NEVER: Duration = Duration::from_secs(3600);

static SECONDS: Declaration = Declaration {
    scope: "test",
    name: "seconds",
    kind: InstrumentKind::Histogram,
    unit: "",
    description: "",
    attributes: &["kind"],
    boundaries: &[0.1, 1.0],
};

/// Samples every span or none, and lets metrics be scraped and pushed.
async fn sample(reloader: &mut Reloader, root: RootSampler, spans: &RecordReceiver, to: &Receiver) {
    let mut config = Config::prometheus()
        .with_sink("gateway", to.sink(NEVER))
        .with_traces("gateway", spans.sink(512, 512));
    config.traces.sampler = Sampler { root, parent: Parent::Followed };
    commit(reloader, config).await.drain(PATIENCE).await;
}

/// Records inside a span of `tracing`; the trace of that span.
fn record(pipeline: &Pipeline, histogram: &Histogram, value: f64) -> String {
    let subscriber = tracing_subscriber::registry().with(pipeline.trace_layer());
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("review");
        let _entered = span.enter();
        histogram.record(value, &[KeyValue::new("kind", "Pod")]);
        current_span().unwrap().trace_id.to_string()
    })
}

fn exemplars(export: &Export) -> Vec<Exemplar> {
    let scopes = export.request.resource_metrics.iter().flat_map(|it| &it.scope_metrics);
    let mut metrics = scopes.flat_map(|scope| &scope.metrics);
    let seconds = metrics.find(|metric| metric.name == "seconds").unwrap();
    let Some(Data::Histogram(histogram)) = &seconds.data else { panic!("{seconds:?}") };
    histogram.data_points.iter().flat_map(|point| point.exemplars.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_sampled_span_stands_beside_its_bucket_wherever_metrics_go() {
    let (spans, receiver) = (RecordReceiver::start(), Receiver::start());
    let mut catalogue = Catalogue::new();
    let histogram = catalogue.histogram(&SECONDS);
    let (pipeline, mut reloader) = start_with(catalogue);
    sample(&mut reloader, RootSampler::AlwaysOff, &spans, &receiver).await;
    record(&pipeline, &histogram, 0.5);
    let page = || {
        let page = pipeline.scrape_as(ExpositionFormat::OpenMetrics).unwrap();
        String::from_utf8(page).unwrap()
    };
    assert!(!page().contains("trace_id"), "{}", page());

    sample(&mut reloader, RootSampler::AlwaysOn, &spans, &receiver).await;
    let trace = record(&pipeline, &histogram, 0.5);
    let page = page();
    let mut lines = page.lines().filter(|line| line.contains("trace_id"));
    let line = lines.next().unwrap_or_else(|| panic!("{page}"));
    assert!(line.contains("le=\"1.0\"") && line.contains(&trace), "{line}");
    assert_eq!(lines.next(), None);

    // A series is told which span, whichever is current.
    let kind: Arc<[KeyValue]> = [KeyValue::new("kind", "Pod")].into();
    let series = histogram.series(&kind);
    let (other, span) = (TraceId::from(7), SpanId::from(8));
    let span_of = |flags| SpanContext::new(other, span, flags, false, TraceState::default());
    series.record(0.05, Some(&span_of(TraceFlags::default())));
    series.record(5.0, Some(&span_of(TraceFlags::SAMPLED)));
    let other = other.to_string();

    reloader.shutdown(PATIENCE).await;
    let exemplars = exemplars(&receiver.exports().pop().unwrap());
    let traces: Vec<String> = exemplars
        .iter()
        .map(|it| it.trace_id.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    assert_eq!(traces, [trace, other]);
}
