//! Every metric, span and attribute that there is, declared once.
//!
//! [`metrics`] and [`spans`] are what the engine records, [`key`] the attributes' names, and
//! `docs/reference/` is generated from all of it. What is recorded but not declared here fails a
//! test of this crate.

mod attribute;
pub mod key;
pub mod metrics;
pub mod spans;

pub use attribute::{AttributeDeclaration, Presence, Values};
pub use metrics::prometheus_name;
pub use pharos_telemetry::{Declaration as MetricDeclaration, InstrumentKind};
pub use spans::SpanDeclaration;

/// The instrumentation scope of what Kyverno has, too, without a version.
pub const KYVERNO: &str = "kyverno";

/// The instrumentation scope of what only Pharos has, and of all spans.
pub const PHAROS: &str = "pharos";
