//! What was counted between two snapshots. Pure.
//!
//! Which metrics a receiver wants to be told so is a matter of the instrument behind them, not of
//! their data: see [`temporality`]. The rest is told as it is.

use std::collections::HashMap;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, Histogram, Metric, ScopeMetrics, Sum,
};

use crate::carry::Index;
use crate::config::Temporality;
use crate::instrument::InstrumentKind;
use crate::snapshot::Snapshot;

mod change;

use change::Change;

/// What was counted after `since`, and up to `now`; since the start of each series where `since` is
/// `None`, where the series started again after it, and where its value went down. Series that
/// counted nothing are left out.
///
/// `now` may have the shape of a later generation than `since`.
pub(crate) fn between(
    now: &Snapshot,
    since: Option<&Snapshot>,
    preference: Temporality,
) -> Vec<ScopeMetrics> {
    let brought = since.and_then(|since| since.era().bring(since.scopes(), now.era()));
    let before = brought.as_deref().or(since.map(Snapshot::scopes)).unwrap_or_default();
    // Clocks are set back now and then.
    let from = since.map(|since| since.time().min(now.time()));
    let scopes = now.scopes().iter().filter_map(|scope| {
        let name = scope.scope.as_ref().map_or("", |scope| scope.name.as_str());
        let before = Before::new(before.iter().filter(|before| before.scope == scope.scope), from);
        let metrics = scope.metrics.iter().filter_map(|metric| {
            let data = metric.data.as_ref()?;
            let kind = now.kind(name, &metric.name).or_else(|| kind(data))?;
            match temporality(kind, preference) {
                AggregationTemporality::Delta => before.change(metric, data),
                AggregationTemporality::Cumulative | AggregationTemporality::Unspecified => {
                    Some(metric.clone())
                }
            }
        });
        let metrics: Vec<_> = metrics.collect();
        let (scope, schema_url) = (scope.scope.clone(), scope.schema_url.clone());
        (!metrics.is_empty()).then_some(ScopeMetrics { scope, schema_url, metrics })
    });
    scopes.collect()
}

/// How an instrument of this kind is told. What goes up and down makes no sense in parts; whoever
/// wants to save memory should not have to be reminded of what an observable instrument said.
fn temporality(kind: InstrumentKind, preference: Temporality) -> AggregationTemporality {
    use InstrumentKind::{
        Counter, Gauge, Histogram, ObservableCounter, ObservableGauge, ObservableUpDownCounter,
        UpDownCounter,
    };
    match (preference, kind) {
        (Temporality::Cumulative, _)
        | (_, UpDownCounter | ObservableUpDownCounter)
        | (Temporality::LowMemory, ObservableCounter | Gauge | ObservableGauge) => {
            AggregationTemporality::Cumulative
        }
        (Temporality::Delta | Temporality::LowMemory, Counter | Histogram)
        | (Temporality::Delta, ObservableCounter | Gauge | ObservableGauge) => {
            AggregationTemporality::Delta
        }
    }
}

/// The kind of an instrument that is not declared, as far as its data tell.
fn kind(data: &Data) -> Option<InstrumentKind> {
    Some(match data {
        Data::Sum(sum) if sum.is_monotonic => InstrumentKind::Counter,
        Data::Sum(_) => InstrumentKind::UpDownCounter,
        Data::Histogram(_) | Data::ExponentialHistogram(_) => InstrumentKind::Histogram,
        Data::Gauge(_) => InstrumentKind::Gauge,
        Data::Summary(_) => return None,
    })
}

/// One scope of the earlier snapshot.
struct Before<'a> {
    metrics: HashMap<&'a str, Vec<&'a Metric>>,
    /// When the earlier snapshot was taken, if there is one.
    from: Option<u64>,
}

// === impl Before ===

impl<'a> Before<'a> {
    fn new(scopes: impl Iterator<Item = &'a ScopeMetrics>, from: Option<u64>) -> Self {
        let mut metrics: HashMap<_, Vec<_>> = HashMap::new();
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            metrics.entry(metric.name.as_str()).or_default().push(metric);
        }
        Self { metrics, from }
    }

    /// What a metric counted since, if anything.
    fn change(&self, metric: &Metric, data: &Data) -> Option<Metric> {
        let aggregation_temporality = AggregationTemporality::Delta.into();
        let before = self.find(metric, data);
        let data = match data {
            Data::Sum(now) => {
                let before = before.map(|before| match before {
                    Data::Sum(sum) => sum.data_points.as_slice(),
                    _ => &[],
                });
                let data_points = self.points(&now.data_points, before)?;
                let is_monotonic = now.is_monotonic;
                Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
            }
            Data::Histogram(now) => {
                let before = before.map(|before| match before {
                    Data::Histogram(histogram) => histogram.data_points.as_slice(),
                    _ => &[],
                });
                let data_points = self.points(&now.data_points, before)?;
                Data::Histogram(Histogram { data_points, aggregation_temporality })
            }
            Data::ExponentialHistogram(now) => {
                let before = before.map(|before| match before {
                    Data::ExponentialHistogram(histogram) => histogram.data_points.as_slice(),
                    _ => &[],
                });
                let data_points = self.points(&now.data_points, before)?;
                Data::ExponentialHistogram(ExponentialHistogram {
                    data_points,
                    aggregation_temporality,
                })
            }
            // The latest value is told as it is, and summaries are nobody's here.
            Data::Gauge(_) | Data::Summary(_) => return Some(metric.clone()),
        };
        let Metric { name, description, unit, metadata, data: _ } = metric;
        Some(Metric {
            name: name.clone(),
            description: description.clone(),
            unit: unit.clone(),
            metadata: metadata.clone(),
            data: Some(data),
        })
    }

    /// The same stream. Others may have its name, if somebody declared one twice.
    fn find(&self, metric: &Metric, data: &Data) -> Option<&'a Data> {
        let kind = std::mem::discriminant(data);
        let mut others = self.metrics.get(metric.name.as_str())?.iter();
        let same = others.find(|other| {
            (&other.unit, &other.description) == (&metric.unit, &metric.description)
                && other.data.as_ref().is_some_and(|it| std::mem::discriminant(it) == kind)
        });
        same.and_then(|same| same.data.as_ref())
    }

    fn points<P: Change>(&self, now: &[P], before: Option<&[P]>) -> Option<Vec<P>> {
        let before = before.unwrap_or_default();
        let index = Index::of(before);
        let changes = now.iter().filter_map(|point| {
            let before = index.find(before, point.attributes()).map(|place| &before[place]);
            // A series that started again has a later start.
            let before = before.filter(|before| before.start() >= point.start());
            let start = self.from.map_or(point.start(), |from| from.max(point.start()));
            point.change(before, start)
        });
        let changes: Vec<_> = changes.collect();
        (!changes.is_empty()).then_some(changes)
    }
}
