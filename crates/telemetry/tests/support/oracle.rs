//! The exporters of `opentelemetry-otlp`, and what an SDK of its own records for them.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    LogBatch, LogExporter as _, LogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider,
};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter as _;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality,
};
use opentelemetry_sdk::trace::{
    SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor,
};
use pharos_telemetry::config;

use super::support::Receiver;

/// An SDK that keeps what it records until it is exported.
pub(crate) struct Oracle {
    resource: Resource,
    reader: Reader,
    meter: SdkMeterProvider,
    tracer: SdkTracerProvider,
    spans: Spans,
    logger: SdkLoggerProvider,
    logs: Logs,
}

#[derive(Clone, Debug)]
struct Reader(Arc<ManualReader>);

#[derive(Clone, Debug, Default)]
struct Spans(Arc<Mutex<Vec<SpanData>>>);

#[derive(Clone, Debug, Default)]
struct Logs(Arc<Mutex<Vec<(SdkLogRecord, InstrumentationScope)>>>);

// === impl Oracle ===

impl Oracle {
    pub(crate) fn new(resource: &[(&'static str, String)]) -> Self {
        let attributes = resource.iter().map(|(key, value)| KeyValue::new(*key, value.clone()));
        let resource = Resource::builder_empty().with_attributes(attributes).build();
        let reader = Reader(Arc::new(ManualReader::builder().build()));
        let (spans, logs) = (Spans::default(), Logs::default());
        let tracer = SdkTracerProvider::builder().with_resource(resource.clone());
        let logger = SdkLoggerProvider::builder().with_resource(resource.clone());
        let meter = SdkMeterProvider::builder().with_resource(resource.clone());
        Self {
            resource,
            meter: meter.with_reader(reader.clone()).build(),
            reader,
            tracer: tracer.with_span_processor(spans.clone()).build(),
            spans,
            logger: logger.with_log_processor(logs.clone()).build(),
            logs,
        }
    }

    pub(crate) fn meter(&self, scope: &'static str) -> Meter {
        self.meter.meter(scope)
    }

    pub(crate) fn tracer(&self, scope: &'static str) -> SdkTracer {
        self.tracer.tracer(scope)
    }

    pub(crate) fn log_layer(&self) -> OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger> {
        OpenTelemetryTracingBridge::new(&self.logger)
    }

    /// Exports all that was recorded, of every signal.
    #[expect(clippy::disallowed_types, reason = "what we send is compared with what it sends")]
    pub(crate) async fn export(&self, to: &Receiver, protocol: config::Protocol) {
        let url = |signal: &str| match protocol {
            config::Protocol::Grpc => format!("http://{}", to.address()),
            config::Protocol::HttpProtobuf => format!("http://{}/v1/{signal}", to.address()),
        };
        macro_rules! exporter {
            ($exporter:ty, $signal:literal) => {
                match protocol {
                    config::Protocol::Grpc => {
                        <$exporter>::builder().with_tonic().with_endpoint(url($signal)).build()
                    }
                    config::Protocol::HttpProtobuf => <$exporter>::builder()
                        .with_http()
                        .with_protocol(Protocol::HttpBinary)
                        .with_endpoint(url($signal))
                        .build(),
                }
                .unwrap()
            };
        }
        let mut metrics = ResourceMetrics::default();
        self.reader.collect(&mut metrics).unwrap();
        exporter!(opentelemetry_otlp::MetricExporter, "metrics").export(&metrics).await.unwrap();

        let mut exporter = exporter!(SpanExporter, "traces");
        exporter.set_resource(&self.resource);
        let spans = std::mem::take(&mut *self.spans.0.lock().unwrap());
        exporter.export(spans).await.unwrap();

        let mut exporter = exporter!(LogExporter, "logs");
        exporter.set_resource(&self.resource);
        let logs = std::mem::take(&mut *self.logs.0.lock().unwrap());
        let logs: Vec<_> = logs.iter().map(|(record, scope)| (record, scope)).collect();
        exporter.export(LogBatch::new(&logs)).await.unwrap();
    }
}

// === impl Reader ===

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

// === impl Spans ===

impl SpanProcessor for Spans {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

// === impl Logs ===

impl LogProcessor for Logs {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.0.lock().unwrap().push((record.clone(), scope.clone()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
}
