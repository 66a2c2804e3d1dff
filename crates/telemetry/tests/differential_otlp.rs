//! The same records through our pipeline and through `opentelemetry-otlp` are the same requests.
//!
//! What each of the two takes from a clock or from chance, and the order of what has none, is
//! evened out; nothing else is.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

#[path = "support/oracle.rs"]
mod oracle;
#[path = "support/shop.rs"]
mod shop;
mod support;

use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::time::Duration;

use opentelemetry::Key;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_sdk::resource::{ResourceDetector as _, TelemetryResourceDetector};
use oracle::Oracle;
use pharos_telemetry::config::{Batch, Protocol};
use pharos_telemetry::{Catalogue, Config, Identity, Pipeline, RecordSink};
use shop::{log, measure, trace};
use support::{PATIENCE, Receiver, commit};
use tracing_subscriber::layer::SubscriberExt as _;

const NEVER: Duration = Duration::from_secs(3600);

/// The three requests of one side, evened out.
struct Requests {
    metrics: ExportMetricsServiceRequest,
    spans: ExportTraceServiceRequest,
    logs: ExportLogsServiceRequest,
}

/// Both sides record the same, and `to` takes what the pipeline sends of it.
async fn ours(oracle: &Oracle, identity: &Identity, to: &Receiver, protocol: Protocol) -> Requests {
    let (pipeline, mut reloader) = Pipeline::start(identity.clone(), Catalogue::new()).unwrap();
    measure(&pipeline.meter("shop"));
    let batch = Batch {
        max_queue_size: NonZeroUsize::new(1000).unwrap(),
        max_export_size: NonZeroUsize::new(1000).unwrap(),
        schedule_delay: NEVER,
    };
    let sink = RecordSink { receiver: to.by(protocol), batch };
    let config = Config::off()
        .with_sink("gateway", to.sink_by(protocol, NEVER))
        .with_traces("gateway", sink.clone())
        .with_logs("gateway", sink);
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    trace(&pipeline.tracer("shop"));
    let both = tracing_subscriber::registry().with(pipeline.log_layer()).with(oracle.log_layer());
    tracing::subscriber::with_default(both, log);
    let report = reloader.shutdown(PATIENCE).await;
    assert_eq!(report.drained.lost(), 0);
    taken(to)
}

async fn theirs(oracle: &Oracle, to: &Receiver, protocol: Protocol) -> Requests {
    measure(&oracle.meter("shop"));
    trace(&oracle.tracer("shop"));
    oracle.export(to, protocol).await;
    taken(to)
}

/// Records come in as many requests as their sender likes, in their order.
macro_rules! joined {
    ($resources:expr, $scopes:ident, $records:ident) => {{
        let mut resources = $resources;
        let mut first = resources.next().unwrap();
        for scope in resources.flat_map(|it| it.$scopes) {
            match first.$scopes.iter_mut().find(|it| it.scope == scope.scope) {
                Some(known) => known.$records.extend(scope.$records),
                None => first.$scopes.push(scope),
            }
        }
        vec![first]
    }};
}

/// Everything that was sent, as one request of each signal, evened out. On a busy machine somebody
/// else's exporter may still send to a receiver that had this port before.
fn taken(receiver: &Receiver) -> Requests {
    let exports = receiver.exports().into_iter();
    let exports = exports.filter(|it| it.resource("service.name").as_deref() == Some("shop"));
    let mut metrics = exports.last().unwrap().request;
    let exports = receiver.span_exports().into_iter();
    let exports = exports.filter(|it| it.resource("service.name").as_deref() == Some("shop"));
    let spans = exports.flat_map(|it| it.request.resource_spans);
    let resource_spans = joined!(spans, scope_spans, spans);
    let mut spans = ExportTraceServiceRequest { resource_spans };
    let exports = receiver.log_exports().into_iter();
    let exports = exports.filter(|it| it.resource("service.name").as_deref() == Some("shop"));
    let logs = exports.flat_map(|it| it.request.resource_logs);
    let resource_logs = joined!(logs, scope_logs, log_records);
    let mut logs = ExportLogsServiceRequest { resource_logs };
    for resource in &mut metrics.resource_metrics {
        sort(&mut resource.resource);
        for metric in resource.scope_metrics.iter_mut().flat_map(|it| &mut it.metrics) {
            even_out(metric.data.as_mut().unwrap());
        }
    }
    for resource in &mut spans.resource_spans {
        sort(&mut resource.resource);
        for span in resource.scope_spans.iter_mut().flat_map(|it| &mut it.spans) {
            assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
            // Random, but for the traces of others.
            span.span_id.clear();
            if span.parent_span_id.is_empty() {
                span.trace_id.clear();
            }
        }
    }
    for resource in &mut logs.resource_logs {
        sort(&mut resource.resource);
        resource.scope_logs.sort_by_key(|it| format!("{:?}", it.scope));
        for record in resource.scope_logs.iter_mut().flat_map(|it| &mut it.log_records) {
            assert!(record.observed_time_unix_nano > 0);
            (record.time_unix_nano, record.observed_time_unix_nano) = (0, 0);
        }
    }
    Requests { metrics, spans, logs }
}

/// Shows the first difference, with what is around it: requests are long.
fn assert_same<R: Debug + PartialEq>(ours: &R, theirs: &R) {
    if ours == theirs {
        return;
    }
    let (ours, theirs) = (format!("{ours:#?}"), format!("{theirs:#?}"));
    let lines = ours.lines().zip(theirs.lines());
    let same = lines.take_while(|(ours, theirs)| ours == theirs).count();
    let part = |text: &str| {
        let lines: Vec<_> = text.lines().skip(same.saturating_sub(30)).take(60).collect();
        lines.join("\n")
    };
    panic!("ours:\n{}\ntheirs:\n{}", part(&ours), part(&theirs));
}

/// What the SDK says about itself.
fn detected(key: &'static str) -> String {
    TelemetryResourceDetector.detect().get(&Key::from(key)).unwrap().to_string()
}

fn sort(resource: &mut Option<Resource>) {
    resource.as_mut().unwrap().attributes.sort_by(|one, other| one.key.cmp(&other.key));
}

fn even_out(data: &mut Data) {
    macro_rules! points {
        ($data:expr) => {{
            for point in &mut $data.data_points {
                assert!(0 < point.time_unix_nano, "{point:?}");
                (point.start_time_unix_nano, point.time_unix_nano) = (0, 0);
                // Either as they were first recorded, or sorted: the SDK looks them up by both.
                point.attributes.sort_by(|one, other| one.key.cmp(&other.key));
            }
            $data.data_points.sort_by_key(|it| format!("{:?}", it.attributes));
        }};
    }
    // Ours never have any: since the start of a series they say nothing.
    macro_rules! without_extremes {
        ($data:expr) => {
            for point in &mut $data.data_points {
                (point.min, point.max) = (None, None);
            }
        };
    }
    match data {
        Data::Gauge(data) => points!(data),
        Data::Sum(data) => points!(data),
        Data::Histogram(data) => {
            points!(data);
            without_extremes!(data);
        }
        Data::ExponentialHistogram(data) => {
            points!(data);
            without_extremes!(data);
        }
        Data::Summary(data) => panic!("{data:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_send_the_same_of_all_three_signals_by_both_protocols() {
    let variables = [("POD_UID", "uid"), ("OTEL_SERVICE_NAME", "shop"), ("POD_NAME", "shop-0")];
    let identity = Identity::from_environment("1.2.3", &|name| {
        variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
    });
    let resource = [
        ("service.name", "shop".to_owned()),
        ("service.version", "1.2.3".to_owned()),
        ("service.instance.id", "uid".to_owned()),
        ("k8s.pod.name", "shop-0".to_owned()),
        ("telemetry.sdk.name", "opentelemetry".to_owned()),
        ("telemetry.sdk.language", "rust".to_owned()),
        ("telemetry.sdk.version", detected("telemetry.sdk.version")),
    ];
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let oracle = Oracle::new(&resource);
        let (here, there) = (Receiver::start(), Receiver::start());
        let ours = ours(&oracle, &identity, &here, protocol).await;
        let theirs = theirs(&oracle, &there, protocol).await;
        assert_eq!(ours.spans.resource_spans[0].scope_spans[0].spans.len(), 5);
        assert_eq!(ours.metrics.resource_metrics[0].scope_metrics[0].metrics.len(), 17);
        assert_same(&ours.metrics, &theirs.metrics);
        assert_same(&ours.spans, &theirs.spans);
        assert_same(&ours.logs, &theirs.logs);
    }
}
