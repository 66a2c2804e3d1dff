//! Families as Prometheus's protobuf messages, each after its length.
//!
//! The only format in which an exponential histogram is what it is, see [`native`]. One that
//! Prometheus could not take, because it is coarser than any native histogram or because its
//! counts do not add up, is left out here; text shows its count and sum.

use std::io::{self, Write};

use opentelemetry_proto::tonic::metrics::v1::{self, number_data_point};
use prost::Message as _;

use super::exemplar;
use super::family::{Families, Family, Kind, Point};
use super::labels::Pairs;

pub(super) mod message;
mod native;

use message::{
    Bucket, Counter, Exemplar, FamilyHead, Gauge, Histogram, LabelPair, Metric, MetricType,
    Timestamp,
};

/// The field of a family that holds its series.
const METRIC: u32 = 4;

/// Writes all families.
pub(super) fn write(families: Families<'_>, page: &mut impl Write) -> io::Result<()> {
    let (scopes, families) = families.into_parts();
    // The length of a family stands before it, so one family at a time is held beside the page.
    let mut body = Vec::new();
    let mut head = Vec::new();
    for (name, mut family) in families {
        let series = family.series(&scopes);
        body.clear();
        let mut pairs = Pairs::new();
        for (labels, stream, point) in series.iter() {
            family.pairs(&scopes, stream, point, &mut pairs);
            match metric(family.kind, &pairs, point) {
                Some(metric) => prost::encoding::message::encode(METRIC, &metric, &mut body),
                None => family.left_out.push(format!("a histogram with {labels}")),
            }
        }
        if !family.left_out.is_empty() {
            tracing::debug!(family = name, left_out = ?family.left_out, "left out of a scrape");
        }
        // Prometheus takes no family without a series.
        if body.is_empty() {
            continue;
        }
        let begin = family_head(name, &family);
        head.clear();
        let length = begin.encoded_len() + body.len();
        prost::encoding::encode_varint(length as u64, &mut head);
        begin.encode_raw(&mut head);
        page.write_all(&head)?;
        page.write_all(&body)?;
    }
    Ok(())
}

fn family_head(name: String, family: &Family<'_>) -> FamilyHead {
    let kind = match family.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    FamilyHead {
        name: Some(name),
        help: Some(family.help.to_owned()),
        kind: Some(kind.into()),
        unit: family.unit.map(str::to_owned),
    }
}

/// One series, unless Prometheus would refuse it.
fn metric(kind: Kind, pairs: &Pairs<'_>, point: Point<'_>) -> Option<Metric> {
    let pairs = pairs.iter();
    let label = pairs
        .map(|(name, value)| LabelPair {
            name: Some(name.to_string()),
            value: Some(value.to_string()),
        })
        .collect();
    let mut metric = Metric { label, ..Metric::default() };
    match point {
        Point::Number(point) => {
            let value = Some(number_value(point));
            if kind == Kind::Counter {
                let exemplar = exemplar::newest(&point.exemplars).map(Exemplar::from);
                let created_timestamp = Timestamp::new(point.start_time_unix_nano);
                metric.counter = Some(Counter { value, exemplar, created_timestamp });
            } else {
                metric.gauge = Some(Gauge { value });
            }
        }
        Point::Histogram(point) => metric.histogram = Some(classic(point)),
        Point::Exponential(point) => metric.histogram = Some(native::histogram(point)?),
    }
    Some(metric)
}

fn classic(point: &v1::HistogramDataPoint) -> Histogram {
    let mut bucket = Vec::with_capacity(point.bucket_counts.len());
    let mut count = 0;
    let mut above = f64::NEG_INFINITY;
    let bounds = &point.explicit_bounds;
    for (index, (bound, counted)) in bounds.iter().zip(&point.bucket_counts).enumerate() {
        count += counted;
        if !bound.is_finite() || bounds.get(index + 1) == Some(bound) {
            continue;
        }
        bucket.push(Bucket::new(count, *bound, &point.exemplars, above));
        above = *bound;
    }
    bucket.push(Bucket::new(point.count, f64::INFINITY, &point.exemplars, above));
    Histogram {
        sample_count: Some(point.count),
        sample_sum: point.sum,
        bucket,
        created_timestamp: Timestamp::new(point.start_time_unix_nano),
        ..Histogram::default()
    }
}

fn number_value(point: &v1::NumberDataPoint) -> f64 {
    match point.value {
        // Prometheus has no other numbers.
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        Some(number_data_point::Value::AsDouble(value)) => value,
        None => f64::NAN,
    }
}

// === impl Bucket ===

impl Bucket {
    fn new(count: u64, up_to: f64, exemplars: &[v1::Exemplar], above: f64) -> Self {
        Self {
            cumulative_count: Some(count),
            upper_bound: Some(up_to),
            exemplar: exemplar::newest_in(exemplars, above, up_to).map(Exemplar::from),
        }
    }
}

// === impl Exemplar ===

impl From<&v1::Exemplar> for Exemplar {
    fn from(exemplar: &v1::Exemplar) -> Self {
        let label = exemplar::labels(exemplar)
            .map(|(name, id)| LabelPair { name: Some(name.to_owned()), value: Some(id) })
            .collect();
        let timestamp = Timestamp::new(exemplar.time_unix_nano);
        Self { label, value: exemplar::value(exemplar), timestamp }
    }
}

// === impl Timestamp ===

impl Timestamp {
    /// A moment; none for the beginning of time, which stands for "unknown".
    fn new(nanoseconds: u64) -> Option<Self> {
        let seconds = i64::try_from(nanoseconds / 1_000_000_000).ok()?;
        let nanos = i32::try_from(nanoseconds % 1_000_000_000).ok()?;
        (nanoseconds > 0).then_some(Self { seconds, nanos })
    }
}
