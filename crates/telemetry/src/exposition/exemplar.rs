//! Examples of what was measured, with the trace that it was measured in.

use std::fmt::Write as _;

use opentelemetry_proto::tonic::metrics::v1::{Exemplar, exemplar};

/// The value of an example; none where it has no kind that we know.
pub(super) fn value(exemplar: &Exemplar) -> Option<f64> {
    Some(match exemplar.value? {
        exemplar::Value::AsDouble(value) => value,
        // Prometheus has no other numbers.
        exemplar::Value::AsInt(value) => value as f64,
    })
}

/// The newest example.
pub(super) fn newest(exemplars: &[Exemplar]) -> Option<&Exemplar> {
    exemplars.iter().filter(|it| value(it).is_some()).max_by_key(|it| it.time_unix_nano)
}

/// The newest example of a bucket, which has its upper bound in it and not its lower one.
pub(super) fn newest_in(exemplars: &[Exemplar], above: f64, up_to: f64) -> Option<&Exemplar> {
    let within = |it: &&Exemplar| value(it).is_some_and(|value| above < value && value <= up_to);
    exemplars.iter().filter(within).max_by_key(|it| it.time_unix_nano)
}

/// The labels of an example. Ids of other lengths are not ids; with both there are 63 characters
/// in them, and OpenMetrics allows 128.
pub(super) fn labels(exemplar: &Exemplar) -> impl Iterator<Item = (&'static str, String)> {
    let trace = (exemplar.trace_id.len() == 16).then_some(("trace_id", &exemplar.trace_id));
    let span = (exemplar.span_id.len() == 8).then_some(("span_id", &exemplar.span_id));
    [trace, span].into_iter().flatten().map(|(name, id)| (name, hexadecimal(id)))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes any text");
    }
    text
}
