//! Spans: started only where somebody records them.
//!
//! A call's span asks the sampler; everything below it only looks whether the span that is current
//! is recorded. Where it is not, that look is all that happens. Names and attributes are those of
//! [`crate::catalogue::spans`].

#![expect(
    clippy::disallowed_methods,
    reason = "the spans that are declared are started here, and nowhere else"
)]

mod call;
mod kube;
mod review;
mod scan;
mod text;

use std::fmt;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use pharos_telemetry::Pipeline;

use crate::catalogue::PHAROS;

pub use call::CallFacts;
pub(crate) use call::{CallSpan, known as known_method, protocol_version};
pub use kube::{KubeCall, KubeSpan, KubeTelemetry, KubeTelemetryLayer, carry_trace};
pub(crate) use review::{ReviewSpan, Timed};
pub use scan::{
    ObjectsFacts, ObjectsSpan, ReportOutcome, ReportSpan, SweepOutcome, SweepParent, SweepSpan,
};

/// Starts spans. Cheap to clone; the default starts none.
#[derive(Clone, Default)]
pub struct Spans {
    tracer: Option<SdkTracer>,
}

// === impl Spans ===

impl Spans {
    /// Of this pipeline.
    pub fn new(pipeline: &Pipeline) -> Self {
        Self::of_tracer(pipeline.tracer(PHAROS))
    }

    /// Of any tracer.
    pub fn of_tracer(tracer: SdkTracer) -> Self {
        Self { tracer: Some(tracer) }
    }

    /// Where spans of work inside the current span come from: nowhere if that is not recorded.
    fn inside_recorded(&self) -> Option<&SdkTracer> {
        self.tracer.as_ref().filter(|_| is_recorded())
    }
}

/// Whether the current span is.
fn is_recorded() -> bool {
    Context::map_current(|now| now.span().is_recording())
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").field("started", &self.tracer.is_some()).finish()
    }
}

/// A whole number as OpenTelemetry has them.
fn integer(key: &'static str, number: impl TryInto<i64>) -> KeyValue {
    KeyValue::new(key, number.try_into().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
