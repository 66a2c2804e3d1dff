//! Totals as Prometheus text, format version 0.0.4.
//!
//! Names, labels and order are those of OpenTelemetry's own Prometheus exporter as Kyverno sets it
//! up: `_total` on monotonic sums, no units, the scope as labels on every series, no `target_info`.
//! No input makes a page that Prometheus rejects: what cannot stand beside something else is left
//! out and named in a comment.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, ScopeMetrics,
    number_data_point,
};

use crate::snapshot::Snapshot;

mod labels;
mod number;

use labels::{Labels, ScopeLabels};

/// What a scrape answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scrape {
    /// No sink is one that is scraped.
    Off,
    /// A page of Prometheus text, format version 0.0.4.
    Text(String),
}

/// All series of one name.
struct Family<'a> {
    kind: Kind,
    help: &'a str,
    series: BTreeMap<Labels, Value<'a>>,
    left_out: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The value of one series.
enum Value<'a> {
    Number(&'a NumberDataPoint),
    Histogram(&'a HistogramDataPoint),
    /// Text has no exponential buckets: only count and sum can be told.
    Exponential(&'a ExponentialHistogramDataPoint),
}

/// Families by name, and which of them owns each name that a sample can have.
#[derive(Default)]
struct Families<'a> {
    families: BTreeMap<String, Family<'a>>,
    owners: HashMap<String, String>,
}

/// The totals of `snapshot` as a page.
pub(crate) fn encode(snapshot: &Snapshot) -> String {
    let mut families = Families::default();
    let mut streams: Vec<(&ScopeMetrics, &Metric)> = snapshot
        .scopes()
        .iter()
        .flat_map(|scope| scope.metrics.iter().map(move |metric| (scope, metric)))
        .collect();
    // The SDK's order changes; which of two streams in conflict is shown must not.
    streams.sort_by_key(|(scope, metric)| {
        let scope = scope.scope.as_ref().map(|scope| (&scope.name, &scope.version));
        (scope, &metric.name, &metric.description)
    });
    for (scope, metric) in streams {
        families.add(&ScopeLabels::new(scope), metric);
    }
    let mut page = String::new();
    for (name, family) in &families.families {
        family.write(name, &mut page);
    }
    page
}

// === impl Families ===

impl<'a> Families<'a> {
    fn add(&mut self, scope: &ScopeLabels, metric: &'a Metric) {
        let Some((kind, points)) = points(metric) else {
            return;
        };
        let name = family_name(&metric.name, kind);
        if let Err(owner) = self.claim(&name, kind) {
            let left_out =
                format!("{:?} of scope {:?}, a {}", metric.name, scope.name, kind.as_str());
            if let Some(family) = self.families.get_mut(&owner) {
                family.left_out.push(left_out);
            }
            return;
        }
        let family = self.families.entry(name).or_insert_with(|| Family {
            kind,
            help: &metric.description,
            series: BTreeMap::new(),
            left_out: Vec::new(),
        });
        for (attributes, value) in points {
            let labels = scope.with(attributes, kind);
            match family.series.entry(labels) {
                Entry::Vacant(series) => {
                    series.insert(value);
                }
                Entry::Occupied(series) => family.left_out.push(format!(
                    "{:?} of scope {:?}, a second {}",
                    metric.name,
                    scope.name,
                    series.key()
                )),
            }
        }
    }

    /// Reserves every sample name of a family, or tells which family has one of them.
    fn claim(&mut self, name: &str, kind: Kind) -> Result<(), String> {
        if self.families.get(name).is_some_and(|family| family.kind == kind) {
            return Ok(());
        }
        let suffixes: &[&str] = match kind {
            Kind::Counter | Kind::Gauge => &[""],
            Kind::Histogram => &["", "_bucket", "_count", "_sum"],
        };
        let samples: Vec<String> =
            suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect();
        if let Some(owner) = samples.iter().find_map(|sample| self.owners.get(sample)) {
            return Err(owner.clone());
        }
        self.owners.extend(samples.into_iter().map(|sample| (sample, name.to_owned())));
        Ok(())
    }
}

// === impl Family ===

impl Family<'_> {
    fn write(&self, name: &str, page: &mut String) {
        if !self.help.is_empty() {
            line(page, format_args!("# HELP {name} {}", escape_help(self.help)));
        }
        line(page, format_args!("# TYPE {name} {}", self.kind.as_str()));
        for left_out in &self.left_out {
            line(page, format_args!("# Left out, in conflict with this family: {left_out}"));
        }
        for (labels, value) in &self.series {
            match value {
                Value::Number(point) => {
                    line(page, format_args!("{name}{labels} {}", number_value(point)));
                }
                Value::Histogram(point) => write_histogram(name, labels, point, page),
                Value::Exponential(point) => {
                    write_distribution(name, labels, point.count, point.sum, page);
                }
            }
        }
    }
}

fn write_histogram(name: &str, labels: &Labels, point: &HistogramDataPoint, page: &mut String) {
    let mut count = 0;
    for (bound, bucket) in point.explicit_bounds.iter().zip(&point.bucket_counts) {
        count += bucket;
        let bucket = labels.with_bound(&number::float(*bound));
        line(page, format_args!("{name}_bucket{bucket} {count}"));
    }
    write_distribution(name, labels, point.count, point.sum, page);
}

fn write_distribution(
    name: &str,
    labels: &Labels,
    count: u64,
    sum: Option<f64>,
    page: &mut String,
) {
    let bucket = labels.with_bound("+Inf");
    line(page, format_args!("{name}_bucket{bucket} {count}"));
    if let Some(sum) = sum {
        line(page, format_args!("{name}_sum{labels} {}", number::float(sum)));
    }
    line(page, format_args!("{name}_count{labels} {count}"));
}

fn line(page: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(page, "{content}").expect("a String takes any text");
}

fn number_value(point: &NumberDataPoint) -> String {
    match point.value {
        Some(number_data_point::Value::AsInt(value)) => value.to_string(),
        Some(number_data_point::Value::AsDouble(value)) => number::float(value),
        None => number::float(f64::NAN),
    }
}

// === impl Kind ===

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

type Points<'a> = Vec<(&'a [opentelemetry_proto::tonic::common::v1::KeyValue], Value<'a>)>;

/// The points of a metric and the kind of family that they belong to.
fn points(metric: &Metric) -> Option<(Kind, Points<'_>)> {
    Some(match metric.data.as_ref()? {
        Data::Gauge(gauge) => (Kind::Gauge, numbers(&gauge.data_points)),
        Data::Sum(sum) => {
            let kind = if sum.is_monotonic { Kind::Counter } else { Kind::Gauge };
            (kind, numbers(&sum.data_points))
        }
        Data::Histogram(histogram) => {
            let points = histogram.data_points.iter();
            let points = points.map(|point| (point.attributes.as_slice(), Value::Histogram(point)));
            (Kind::Histogram, points.collect())
        }
        Data::ExponentialHistogram(histogram) => {
            let points = histogram.data_points.iter();
            let points =
                points.map(|point| (point.attributes.as_slice(), Value::Exponential(point)));
            (Kind::Histogram, points.collect())
        }
        // Only a Collector makes these.
        Data::Summary(_) => return None,
    })
}

fn numbers(points: &[NumberDataPoint]) -> Points<'_> {
    points.iter().map(|point| (point.attributes.as_slice(), Value::Number(point))).collect()
}

fn family_name(instrument: &str, kind: Kind) -> String {
    let mut name = labels::sanitize(instrument, &['_', ':']);
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    if kind == Kind::Counter && !name.ends_with("_total") {
        name.push_str(if name.ends_with('_') { "total" } else { "_total" });
    }
    name
}

fn escape_help(text: &str) -> String {
    text.replace('\\', r"\\").replace('\n', r"\n")
}

#[cfg(test)]
mod tests;
