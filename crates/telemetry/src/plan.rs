//! What has to change to get from one configuration to another. Pure.

use std::collections::BTreeMap;

use crate::config::{Config, Logs, MetricShape, MetricSink, Metrics, SinkName, Traces};
use crate::signal::{Signal, SinkId};

/// What a reload does to each sink, and to the instruments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    sinks: BTreeMap<SinkId, Change>,
    generation: GenerationChange,
    /// Whether something changes that is no sink: sampler, severity.
    settings: bool,
}

/// What a reload does to one sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it is not touched and does not wait.
    Keep,
    /// It starts with the totals of the commit.
    Add,
    /// It ends, and another goes on in its place under its name.
    Swap,
    /// It ends with the totals of the commit, or with what its queue holds.
    Remove,
}

/// What a reload does to the instruments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationChange {
    /// Nothing.
    Keep,
    /// New ones take over, with what the old ones counted as far as the new shape can hold it.
    Rebuild,
}

// === impl Plan ===

impl Plan {
    /// The changes that lead from `running` to `wanted`.
    pub fn between(running: &Config, wanted: &Config) -> Self {
        // Destructured without `..`: a new field has to find its place in the plan.
        let Config { resource_attributes: old_resource, metrics: old, traces: spans, logs } =
            running;
        let Config { resource_attributes, metrics, traces: new_spans, logs: new_logs } = wanted;
        let Metrics { sinks: old_sinks, shape: old_shape } = old;
        let Metrics { sinks, shape } = metrics;
        let Traces { sinks: old_traces, sampler: old_sampler } = spans;
        let Traces { sinks: traces, sampler } = new_spans;
        let Logs { sinks: old_logs, min_severity: old_severity } = logs;
        let Logs { sinks: logs, min_severity } = new_logs;
        let same_resource = old_resource == resource_attributes;
        let mut plan = BTreeMap::new();
        changes(Signal::Metrics, old_sinks, sinks, &mut plan, |was, is| match (was, is) {
            // What is scraped shows no resource.
            (MetricSink::Prometheus(_), _) => was == is,
            (MetricSink::Otlp(_), _) => was == is && same_resource,
        });
        changes(Signal::Traces, old_traces, traces, &mut plan, |was, is| {
            was == is && same_resource
        });
        changes(Signal::Logs, old_logs, logs, &mut plan, |was, is| was == is && same_resource);
        // Where metrics go nowhere, nobody sees their shape: it stays as it is.
        let same_shape = sinks.is_empty() || same_shape(old_shape, shape);
        Self {
            sinks: plan,
            generation: if same_shape { GenerationChange::Keep } else { GenerationChange::Rebuild },
            settings: old_sampler != sampler || old_severity != min_severity,
        }
    }

    /// The change of each sink.
    pub fn sinks(&self) -> impl Iterator<Item = (&SinkId, Change)> {
        self.sinks.iter().map(|(sink, change)| (sink, *change))
    }

    /// The change of each sink of one signal, in the order of their names.
    pub fn of(&self, signal: Signal) -> impl Iterator<Item = (&SinkName, Change)> {
        self.sinks().filter(move |(sink, _)| sink.signal == signal).map(|(it, c)| (&it.name, c))
    }

    /// The change of the instruments.
    pub fn generation(&self) -> GenerationChange {
        self.generation
    }

    /// Whether the reload would change nothing.
    pub fn keeps_everything(&self) -> bool {
        self.keeps_sinks() && !self.settings && self.generation == GenerationChange::Keep
    }

    /// Whether no sink changes.
    pub(crate) fn keeps_sinks(&self) -> bool {
        self.sinks.values().all(|change| *change == Change::Keep)
    }
}

fn changes<S>(
    signal: Signal,
    running: &BTreeMap<SinkName, S>,
    wanted: &BTreeMap<SinkName, S>,
    plan: &mut BTreeMap<SinkId, Change>,
    same: impl Fn(&S, &S) -> bool,
) {
    for name in running.keys().filter(|name| !wanted.contains_key(*name)) {
        plan.insert(SinkId::new(signal, name.clone()), Change::Remove);
    }
    for (name, sink) in wanted {
        let change = match running.get(name) {
            None => Change::Add,
            Some(was) if same(was, sink) => Change::Keep,
            Some(_) => Change::Swap,
        };
        plan.insert(SinkId::new(signal, name.clone()), change);
    }
}

/// Whether instruments record alike under both shapes.
fn same_shape(running: &MetricShape, wanted: &MetricShape) -> bool {
    let MetricShape { cardinality_limit, values, views } = running;
    *cardinality_limit == wanted.cardinality_limit
        && (*values == wanted.values || values.is_open() && wanted.values.is_open())
        && *views == wanted.views
}

// === impl Change ===

impl Change {
    /// Whether something that runs under the name has to end.
    pub(crate) fn retires(self) -> bool {
        matches!(self, Self::Swap | Self::Remove)
    }

    /// Whether something has to start under the name.
    pub(crate) fn starts(self) -> bool {
        matches!(self, Self::Add | Self::Swap)
    }
}

#[cfg(test)]
mod tests;
