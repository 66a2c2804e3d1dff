//! What has to change to get from one configuration to another. Pure.

use std::collections::BTreeMap;

use crate::config::{Config, MetricSink, SinkName};

/// What a reload does to each sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    metrics: BTreeMap<SinkName, Change>,
}

/// What a reload does to one sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it is not touched and does not wait.
    Keep,
    /// It starts with the totals of the commit.
    Add,
    /// It ends with the totals of the commit, and another starts with the same under its name.
    Swap,
    /// It ends with the totals of the commit.
    Remove,
}

// === impl Plan ===

impl Plan {
    /// The changes that lead from `running` to `wanted`.
    pub fn between(running: &Config, wanted: &Config) -> Self {
        // Destructured without `..`: a new field has to find its place in the plan.
        let Config { resource_attributes: running_resource, metrics: _ } = running;
        let Config { resource_attributes: wanted_resource, metrics: _ } = wanted;
        let same_resource = running_resource == wanted_resource;
        let mut metrics: BTreeMap<SinkName, Change> =
            running.metric_sinks().map(|(name, _)| (name.clone(), Change::Remove)).collect();
        let before: BTreeMap<&SinkName, &MetricSink> = running.metric_sinks().collect();
        for (name, sink) in wanted.metric_sinks() {
            let change = match before.get(name) {
                None => Change::Add,
                // What is scraped shows no resource.
                Some(MetricSink::Prometheus) if *sink == MetricSink::Prometheus => Change::Keep,
                Some(was) if *was == sink && same_resource => Change::Keep,
                Some(_) => Change::Swap,
            };
            metrics.insert(name.clone(), change);
        }
        Self { metrics }
    }

    /// The change of each sink of metrics, in the order of their names.
    pub fn metrics(&self) -> impl Iterator<Item = (&SinkName, Change)> {
        self.metrics.iter().map(|(name, change)| (name, *change))
    }

    /// Whether the reload would change nothing.
    pub fn keeps_everything(&self) -> bool {
        self.metrics.values().all(|change| *change == Change::Keep)
    }
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
mod tests {
    use super::*;
    use crate::config::{Compression, Endpoint, Header, OtlpSink};
    use std::time::Duration;

    /// What it is about, from where, to where, and the changes in between.
    type Row = (&'static str, Config, Config, Vec<(&'static str, Change)>);

    fn otlp(change: impl FnOnce(&mut OtlpSink)) -> Config {
        let mut sink = OtlpSink::new(Endpoint::parse("http://a:1").unwrap());
        change(&mut sink);
        Config::off().with_sink("s", sink)
    }

    fn with_attribute(mut config: Config) -> Config {
        config.resource_attributes.insert("k".to_owned(), "v".to_owned());
        config
    }

    fn scraped(name: &str) -> Config {
        Config::off().with_sink(name, MetricSink::Prometheus)
    }

    #[test]
    fn each_sink_gets_the_least_change_that_leads_there() {
        use Change::{Add, Keep, Remove, Swap};
        let same = || otlp(|_| {});
        let rows: Vec<Row> = vec![
            ("nothing", Config::off(), Config::off(), vec![]),
            ("start", Config::off(), scraped("p"), vec![("p", Add)]),
            ("stop", scraped("p"), Config::off(), vec![("p", Remove)]),
            ("same", same(), same(), vec![("s", Keep)]),
            (
                "endpoint",
                same(),
                otlp(|s| s.endpoint = Endpoint::parse("http://b:1").unwrap()),
                vec![("s", Swap)],
            ),
            ("compression", same(), otlp(|s| s.compression = Compression::Zstd), vec![("s", Swap)]),
            ("timeout", same(), otlp(|s| s.timeout = Duration::from_secs(3)), vec![("s", Swap)]),
            ("period", same(), otlp(|s| s.period = Duration::from_secs(1)), vec![("s", Swap)]),
            (
                "headers",
                same(),
                otlp(|s| s.headers.push(Header::parse("a", "b").unwrap())),
                vec![("s", Swap)],
            ),
            ("type", same(), scraped("s"), vec![("s", Swap)]),
            ("name", scraped("p"), scraped("q"), vec![("p", Remove), ("q", Add)]),
            (
                "another one",
                scraped("p"),
                same().with_sink("p", MetricSink::Prometheus),
                vec![("p", Keep), ("s", Add)],
            ),
            ("resource of a pushed sink", same(), with_attribute(same()), vec![("s", Swap)]),
            (
                "resource of a scraped sink",
                scraped("p"),
                with_attribute(scraped("p")),
                vec![("p", Keep)],
            ),
        ];
        for (what, running, wanted, expected) in rows {
            let plan = Plan::between(&running, &wanted);
            let changes: Vec<_> =
                plan.metrics().map(|(name, change)| (name.as_str(), change)).collect();
            assert_eq!(changes, expected, "{what}");
            assert_eq!(plan.keeps_everything(), changes.iter().all(|(_, change)| *change == Keep));
        }
    }
}
