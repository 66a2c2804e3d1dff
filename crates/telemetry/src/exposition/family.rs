//! Which streams make which family, and the series of a family in their order.
//!
//! Every format agrees on this, but for the names that a family needs for itself.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, ScopeMetrics,
};

use super::labels::{self, Pairs, ScopeLabels};
use super::unit;

/// How a format names families and samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// A counter is named as its samples are.
    Prometheus,
    /// A counter's samples have `_total` after its name. Start times, which the format allows, are
    /// left out: a scraper stores each as a series of its own.
    OpenMetrics,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// All families by name, and which of them owns each name that a sample can have.
pub(super) struct Families<'a> {
    naming: Naming,
    scopes: Vec<ScopeLabels<'a>>,
    families: BTreeMap<String, Family<'a>>,
    owners: HashMap<String, String>,
}

/// All streams of one name.
pub(super) struct Family<'a> {
    pub(super) kind: Kind,
    pub(super) help: &'a str,
    /// Set where the name ends with it.
    pub(super) unit: Option<&'a str>,
    pub(super) left_out: Vec<String>,
    /// Each with the scope that it is of.
    streams: Vec<(usize, &'a Metric)>,
}

/// The series of one family, sorted by their labels, no two of them alike.
pub(super) struct AllSeries<'a> {
    /// The labels of all of them, one after the other: one allocation instead of one for each.
    text: String,
    series: Vec<Series<'a>>,
}

struct Series<'a> {
    labels: Range<usize>,
    stream: usize,
    point: Point<'a>,
}

/// The point of one series.
#[derive(Clone, Copy)]
pub(super) enum Point<'a> {
    Number(&'a NumberDataPoint),
    Histogram(&'a HistogramDataPoint),
    Exponential(&'a ExponentialHistogramDataPoint),
}

// === impl Families ===

impl<'a> Families<'a> {
    pub(super) fn new(metrics: &'a [ScopeMetrics], naming: Naming) -> Self {
        let scopes = metrics.iter().map(ScopeLabels::new).collect();
        let (families, owners) = (BTreeMap::new(), HashMap::new());
        let mut all = Self { naming, scopes, families, owners };
        let mut streams: Vec<(usize, &Metric)> = metrics
            .iter()
            .enumerate()
            .flat_map(|(scope, it)| it.metrics.iter().map(move |metric| (scope, metric)))
            .collect();
        // The SDK's order changes; which of two streams in conflict is shown must not.
        streams.sort_by_key(|(scope, metric)| {
            let scope = metrics[*scope].scope.as_ref().map(|scope| (&scope.name, &scope.version));
            (scope, &metric.name, &metric.description)
        });
        for (scope, metric) in streams {
            all.add(scope, metric);
        }
        all
    }

    /// The families in the order of their names, and the scopes that their streams refer to.
    pub(super) fn into_parts(self) -> (Vec<ScopeLabels<'a>>, BTreeMap<String, Family<'a>>) {
        (self.scopes, self.families)
    }

    fn add(&mut self, scope: usize, metric: &'a Metric) {
        let Some(kind) = Kind::of(metric) else { return };
        let name = self.naming.family(&metric.name, kind);
        if let Err(owner) = self.claim(&name, kind) {
            let left_out =
                format!("{:?} of scope {:?}, a {}", metric.name, self.scopes[scope].name, kind);
            if let Some(family) = self.families.get_mut(&owner) {
                family.left_out.push(left_out);
            }
            return;
        }
        let base = name.strip_suffix("_total").unwrap_or(&name);
        let unit = unit::suffix(if kind == Kind::Counter { base } else { &name }, &metric.unit);
        let family = self.families.entry(name).or_insert_with(|| Family {
            kind,
            help: &metric.description,
            unit,
            left_out: Vec::new(),
            streams: Vec::new(),
        });
        family.streams.push((scope, metric));
    }

    /// Reserves every sample name of a family, or tells which family has one of them.
    fn claim(&mut self, name: &str, kind: Kind) -> Result<(), String> {
        if self.families.get(name).is_some_and(|family| family.kind == kind) {
            return Ok(());
        }
        let samples: Vec<String> =
            self.naming.suffixes(kind).iter().map(|suffix| format!("{name}{suffix}")).collect();
        if let Some(owner) = samples.iter().find_map(|sample| self.owners.get(sample)) {
            return Err(owner.clone());
        }
        self.owners.extend(samples.into_iter().map(|sample| (sample, name.to_owned())));
        Ok(())
    }
}

// === impl Naming ===

impl Naming {
    pub(super) fn family(self, instrument: &str, kind: Kind) -> String {
        let mut name = labels::sanitize(instrument, &['_', ':']).into_owned();
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            name.insert(0, '_');
        }
        if kind == Kind::Counter && !name.ends_with("_total") {
            name.push_str(if name.ends_with('_') { "total" } else { "_total" });
        }
        if self == Self::OpenMetrics && kind == Kind::Counter {
            name.truncate(name.len() - "_total".len());
            if name.is_empty() {
                name.push('_');
            }
        }
        name
    }

    fn suffixes(self, kind: Kind) -> &'static [&'static str] {
        match (self, kind) {
            (_, Kind::Gauge) | (Self::Prometheus, Kind::Counter) => &[""],
            (Self::OpenMetrics, Kind::Counter) => &["", "_total", "_created"],
            (Self::Prometheus, Kind::Histogram) => &["", "_bucket", "_count", "_sum"],
            (Self::OpenMetrics, Kind::Histogram) => &["", "_bucket", "_count", "_sum", "_created"],
        }
    }
}

// === impl Family ===

impl<'a> Family<'a> {
    /// The series in the order of their labels; of two that are alike the first one.
    pub(super) fn series(&mut self, scopes: &[ScopeLabels<'a>]) -> AllSeries<'a> {
        let mut all = AllSeries { text: String::new(), series: Vec::new() };
        let mut pairs = Pairs::default();
        for (stream, (scope, metric)) in self.streams.iter().enumerate() {
            for point in points(metric) {
                scopes[*scope].with(point.attributes(), self.kind, &mut pairs);
                let start = all.text.len();
                labels::write(&pairs, &mut all.text);
                all.series.push(Series { labels: start..all.text.len(), stream, point });
            }
        }
        all.sort();
        self.drop_doubles(&mut all, scopes);
        all
    }

    fn drop_doubles(&mut self, all: &mut AllSeries<'a>, scopes: &[ScopeLabels<'a>]) {
        let AllSeries { text, series } = all;
        let (streams, left_out) = (&self.streams, &mut self.left_out);
        series.dedup_by(|later, first| {
            let double = text[later.labels.clone()] == text[first.labels.clone()];
            if double {
                let (scope, metric) = streams[later.stream];
                left_out.push(format!(
                    "{:?} of scope {:?}, a second {{{}}}",
                    metric.name,
                    scopes[scope].name,
                    &text[later.labels.clone()]
                ));
            }
            double
        });
    }

    /// The labels of one series, not escaped.
    pub(super) fn pairs<'s>(
        &self,
        scopes: &'s [ScopeLabels<'a>],
        stream: usize,
        point: Point<'a>,
        pairs: &mut Pairs<'s>,
    ) where
        'a: 's,
    {
        let (scope, _) = self.streams[stream];
        scopes[scope].with(point.attributes(), self.kind, pairs);
    }
}

// === impl AllSeries ===

impl<'a> AllSeries<'a> {
    /// Each series: its labels as text without braces, its stream, its point.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, usize, Point<'a>)> {
        let series = self.series.iter();
        series.map(|series| (&self.text[series.labels.clone()], series.stream, series.point))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    fn sort(&mut self) {
        let Self { text, series } = self;
        series.sort_by(|one, other| {
            let labels = |series: &Series<'_>| &text[series.labels.clone()];
            let order = labels(one).cmp(labels(other)).then(one.stream.cmp(&other.stream));
            // Two sets of attributes that became the same labels, in the SDK's order, which
            // changes.
            order.then_with(|| keys(one).cmp(keys(other)))
        });
    }
}

fn keys<'a>(series: &Series<'a>) -> impl Iterator<Item = &'a str> {
    series.point.attributes().iter().map(|attribute| attribute.key.as_str())
}

// === impl Point ===

impl<'a> Point<'a> {
    fn attributes(self) -> &'a [KeyValue] {
        match self {
            Self::Number(point) => &point.attributes,
            Self::Histogram(point) => &point.attributes,
            Self::Exponential(point) => &point.attributes,
        }
    }
}

fn points(metric: &Metric) -> Box<dyn Iterator<Item = Point<'_>> + '_> {
    match &metric.data {
        Some(Data::Gauge(gauge)) => Box::new(gauge.data_points.iter().map(Point::Number)),
        Some(Data::Sum(sum)) => Box::new(sum.data_points.iter().map(Point::Number)),
        Some(Data::Histogram(data)) => Box::new(data.data_points.iter().map(Point::Histogram)),
        Some(Data::ExponentialHistogram(data)) => {
            Box::new(data.data_points.iter().map(Point::Exponential))
        }
        Some(Data::Summary(_)) | None => Box::new(std::iter::empty()),
    }
}

// === impl Kind ===

impl Kind {
    fn of(metric: &Metric) -> Option<Self> {
        match metric.data.as_ref()? {
            Data::Sum(sum) if sum.is_monotonic => Some(Self::Counter),
            Data::Gauge(_) | Data::Sum(_) => Some(Self::Gauge),
            Data::Histogram(_) | Data::ExponentialHistogram(_) => Some(Self::Histogram),
            // Only a Collector makes these.
            Data::Summary(_) => None,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}
