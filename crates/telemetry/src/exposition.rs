//! Totals as Prometheus reads them: text 0.0.4, OpenMetrics 1.0, and protobuf with native
//! histograms.
//!
//! Names, labels and order are those of OpenTelemetry's own Prometheus exporter as Kyverno sets it
//! up: `_total` on monotonic sums, no units, the scope as labels on every series, no `target_info`.
//! No input makes a page that Prometheus rejects: what cannot stand beside something else is left
//! out and named, in a comment where the format has comments.
//!
//! [`encode`] first decides which streams make which families (`family`), then writes one family
//! after the other (`text`, `protobuf`), so that no more than the labels of the largest family is
//! held beside the page. Nothing here knows HTTP; who wants which format is for `scrape`.

use std::io;

use crate::instrument::InstrumentKind;
use crate::snapshot::Snapshot;

mod exemplar;
mod family;
mod labels;
mod number;
mod protobuf;
mod text;
mod unit;

use family::{Families, Kind, Naming};
use text::Style;

/// What a scrape answers, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scrape {
    /// No sink is one that is scraped.
    Off,
    /// A page of Prometheus text, format version 0.0.4.
    Text(String),
}

/// The formats that a scraper may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpositionFormat {
    /// Prometheus text, version 0.0.4. An exponential histogram has its count and sum only.
    Text,
    /// OpenMetrics 1.0: the same, with exemplars and start times.
    OpenMetrics,
    /// OpenMetrics for those who know no more than the draft 0.0.1, which differs in name only.
    OpenMetricsDraft,
    /// Prometheus's protobuf messages, each after its length. An exponential histogram is a native
    /// one.
    Protobuf,
}

/// Writes the totals of `snapshot`.
///
/// # Errors
/// If `page` cannot be written to.
pub(crate) fn encode(
    snapshot: &Snapshot,
    format: ExpositionFormat,
    page: &mut impl io::Write,
) -> io::Result<()> {
    let scopes = snapshot.scopes();
    match format {
        ExpositionFormat::Text => {
            text::write(Families::new(scopes, Naming::Prometheus), Style::Prometheus, page)
        }
        ExpositionFormat::OpenMetrics | ExpositionFormat::OpenMetricsDraft => {
            text::write(Families::new(scopes, Naming::OpenMetrics), Style::OpenMetrics, page)
        }
        ExpositionFormat::Protobuf => {
            protobuf::write(Families::new(scopes, Naming::Prometheus), page)
        }
    }
}

/// The totals of `snapshot` as Prometheus text.
pub(crate) fn text(snapshot: &Snapshot) -> String {
    let mut page = Vec::new();
    encode(snapshot, ExpositionFormat::Text, &mut page).expect("memory takes any page");
    String::from_utf8(page).expect("a page of text is made of strings")
}

// === impl ExpositionFormat ===

impl ExpositionFormat {
    /// What the page says that it is.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::OpenMetricsDraft => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited"
            }
        }
    }
}

/// The name that Prometheus shows of an instrument.
pub fn prometheus_name(instrument: &str, kind: InstrumentKind) -> String {
    let kind = match kind {
        InstrumentKind::Counter | InstrumentKind::ObservableCounter => Kind::Counter,
        InstrumentKind::Histogram => Kind::Histogram,
        InstrumentKind::UpDownCounter
        | InstrumentKind::Gauge
        | InstrumentKind::ObservableUpDownCounter
        | InstrumentKind::ObservableGauge => Kind::Gauge,
    };
    Naming::Prometheus.family(instrument, kind)
}

#[cfg(test)]
mod tests;
