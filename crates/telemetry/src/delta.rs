//! What was counted between two snapshots. Pure.
//!
//! Which metrics a receiver wants to be told so is a matter of the instrument behind them, not of
//! their data: see [`temporality`]. The rest is told as it is.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, Histogram, Metric, ScopeMetrics, Sum,
};

use crate::carry::{Index, common, is_absolute};
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
    // Clocks are set back now and then.
    let from = since.map(|since| since.time().min(now.time()));
    let then = since.map(Snapshot::era).filter(|era| !Arc::ptr_eq(era, now.era()));
    let read = since.map(Snapshot::scopes).unwrap_or_default();
    let brought = then.and_then(|era| era.bring(read, now.era()));
    let brought = brought.as_deref().unwrap_or(read);
    let scopes = now.scopes().iter().filter_map(|scope| {
        let name = scope.scope.as_ref().map_or("", |scope| scope.name.as_str());
        let [read, before] = [read, brought]
            .map(|scopes| Before::new(scopes.iter().filter(|before| before.scope == scope.scope)));
        let metrics = scope.metrics.iter().filter_map(|metric| {
            let data = metric.data.as_ref()?;
            let kind = now.kind(name, &metric.name).or_else(|| kind(data))?;
            match (temporality(kind, preference), then) {
                // The latest value is told as it is.
                _ if matches!(data, Data::Gauge(_)) => Some(metric.clone()),
                (AggregationTemporality::Delta, Some(then)) if is_absolute(kind) => {
                    let (read, metric) =
                        common(name, (read.find(metric), then), (metric, now.era()))?;
                    change(&metric, read.as_ref(), from)
                }
                (AggregationTemporality::Delta, _) => change(metric, before.find(metric), from),
                (AggregationTemporality::Cumulative | AggregationTemporality::Unspecified, _) => {
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

/// One scope of the earlier snapshot, by name.
struct Before<'a>(HashMap<&'a str, Vec<&'a Metric>>);

// === impl Before ===

impl<'a> Before<'a> {
    fn new(scopes: impl Iterator<Item = &'a ScopeMetrics>) -> Self {
        let mut metrics: HashMap<_, Vec<_>> = HashMap::new();
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            metrics.entry(metric.name.as_str()).or_default().push(metric);
        }
        Self(metrics)
    }

    /// The same stream. Others may have its name, if somebody declared one twice.
    fn find(&self, metric: &Metric) -> Option<&'a Metric> {
        let kind = |metric: &Metric| metric.data.as_ref().map(std::mem::discriminant);
        let mut others = self.0.get(metric.name.as_str())?.iter().copied();
        others.find(|other| {
            (&other.unit, &other.description) == (&metric.unit, &metric.description)
                && kind(other) == kind(metric)
        })
    }
}

/// What a metric counted since it was like `before` at `from`, if anything.
fn change(metric: &Metric, before: Option<&Metric>, from: Option<u64>) -> Option<Metric> {
    let aggregation_temporality = AggregationTemporality::Delta.into();
    let before = before.and_then(|before| before.data.as_ref());
    let data = match (metric.data.as_ref()?, before) {
        (Data::Sum(now), before) => {
            let before = match before {
                Some(Data::Sum(sum)) => sum.data_points.as_slice(),
                _ => &[],
            };
            let data_points = changes(&now.data_points, before, from)?;
            let is_monotonic = now.is_monotonic;
            Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
        }
        (Data::Histogram(now), before) => {
            let before = match before {
                Some(Data::Histogram(histogram)) => histogram.data_points.as_slice(),
                _ => &[],
            };
            let data_points = changes(&now.data_points, before, from)?;
            Data::Histogram(Histogram { data_points, aggregation_temporality })
        }
        (Data::ExponentialHistogram(now), before) => {
            let before = match before {
                Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.as_slice(),
                _ => &[],
            };
            let data_points = changes(&now.data_points, before, from)?;
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points,
                aggregation_temporality,
            })
        }
        // Neither counts; summaries are nobody's here.
        (Data::Gauge(_) | Data::Summary(_), _) => return Some(metric.clone()),
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

fn changes<P: Change>(now: &[P], before: &[P], from: Option<u64>) -> Option<Vec<P>> {
    let index = Index::of(before);
    let changes = now.iter().filter_map(|point| {
        let before = index.find(before, point.attributes()).map(|place| &before[place]);
        // A series that started again has a later start.
        let before = before.filter(|before| before.start() >= point.start());
        let start = from.unwrap_or_default().max(point.start());
        point.change(before, start)
    });
    let changes: Vec<_> = changes.collect();
    (!changes.is_empty()).then_some(changes)
}

#[cfg(test)]
mod tests;
