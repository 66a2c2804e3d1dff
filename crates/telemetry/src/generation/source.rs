//! One SDK provider and the one reader that it has.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    Instrument, InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Stream, Temporality,
};

/// A provider, and the one reader that it has. Neither can ever be changed.
pub(super) struct Source {
    provider: SdkMeterProvider,
    reader: Reader,
}

/// Totals could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The SDK says no.
    #[error(transparent)]
    Sdk(OTelSdkError),
    /// A callback that is not ours to catch. It poisons a lock of the SDK, which cannot be read
    /// from then on.
    #[error("a callback of an observable instrument panicked")]
    Panicked,
}

/// The SDK takes its reader by value; this is one that can be read from here, too.
#[derive(Clone, Debug)]
struct Reader(Arc<ManualReader>);

// === impl Source ===

impl Source {
    /// `view` decides once for every instrument that is made.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the provider that all others are told to use"
    )]
    pub(super) fn new(
        view: impl Fn(&Instrument) -> Option<Stream> + Send + Sync + 'static,
    ) -> Self {
        let reader = Reader(Arc::new(
            ManualReader::builder().with_temporality(Temporality::Cumulative).build(),
        ));
        let provider = SdkMeterProvider::builder()
            // The default would read the environment. The resource is the sink's affair.
            .with_resource(Resource::builder_empty().build())
            .with_reader(reader.clone())
            .with_view(view)
            .build();
        Self { provider, reader }
    }

    #[expect(clippy::disallowed_methods, reason = "instruments are made of it here")]
    pub(super) fn meter(&self, scope: &'static str) -> Meter {
        self.provider.meter(scope)
    }

    #[cfg(test)]
    #[expect(clippy::disallowed_methods, reason = "instruments are made of it here")]
    pub(super) fn meter_with_scope(&self, scope: opentelemetry::InstrumentationScope) -> Meter {
        self.provider.meter_with_scope(scope)
    }

    /// The totals of now.
    pub(super) fn read(&self) -> Result<ResourceMetrics, ReadError> {
        let mut collected = ResourceMetrics::default();
        // A panic in the callback of somebody's observable instrument must not end the exports.
        match catch_unwind(AssertUnwindSafe(|| self.reader.collect(&mut collected))) {
            Ok(Ok(())) => Ok(collected),
            Ok(Err(error)) => Err(ReadError::Sdk(error)),
            Err(_) => Err(ReadError::Panicked),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Source")
    }
}

// === impl Reader ===

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, collected: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(collected)
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
