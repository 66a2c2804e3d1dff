//! The counters that the demo follows, as Prometheus scrapes them and as the Collector gets them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::ensure;
use pharos_testkit::prometheus::{self, Sample};
use pharos_testkit::{Export, Point, Series};

/// A sum over the series of one instrument that agree in one attribute.
pub(crate) struct Counter {
    /// The OpenTelemetry name; Prometheus shows it with `_total`.
    instrument: &'static str,
    attribute: (&'static str, &'static str),
}

/// The counters that are followed.
pub(crate) const COUNTERS: [Counter; 4] = [
    Counter { instrument: "kyverno_admission_requests", attribute: ("request_allowed", "true") },
    Counter { instrument: "kyverno_admission_requests", attribute: ("request_allowed", "false") },
    Counter { instrument: "kyverno_validating_policy_results", attribute: ("result", "pass") },
    Counter { instrument: "kyverno_validating_policy_results", attribute: ("result", "fail") },
];

/// The value of each counter at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Totals([f64; COUNTERS.len()]);

// === impl Counter ===

impl Counter {
    /// What a table calls it.
    pub(crate) fn label(&self) -> String {
        let (key, value) = self.attribute;
        format!("{}{{{key}=\"{value}\"}}", self.instrument)
    }

    fn counts(&self, series: &Series) -> bool {
        let (key, value) = self.attribute;
        series.metric == self.instrument
            && series.attributes.get(key).is_some_and(|found| found == value)
    }
}

// === impl Totals ===

impl Totals {
    /// As scraped.
    pub(crate) fn scraped(samples: &[Sample]) -> Self {
        Self(COUNTERS.map(|Counter { instrument, attribute }| {
            prometheus::sum(samples, &format!("{instrument}_total"), &[attribute])
        }))
    }

    /// As the Collector holds them after these exports: the newest value of each series.
    pub(crate) fn exported(exports: &[Arc<Export>]) -> Self {
        let points = exports.iter().flat_map(|export| &export.points);
        let newest: BTreeMap<_, _> =
            points.map(|point| (&point.series, point.value.total())).collect();
        Self(COUNTERS.map(|counter| {
            let counted = newest.iter().filter(|(series, _)| counter.counts(series));
            counted.map(|(_, value)| value).sum()
        }))
    }

    /// Whether nothing here is less than there.
    pub(crate) fn covers(&self, earlier: &Self) -> bool {
        self.0.iter().zip(earlier.0).all(|(now, then)| *now >= then)
    }

    /// How many requests were allowed and how many denied.
    pub(crate) fn requests(&self) -> (f64, f64) {
        let [allowed, denied, ..] = self.0;
        (allowed, denied)
    }

    /// The cells of a table's column.
    pub(crate) fn cells(&self) -> [String; COUNTERS.len()] {
        self.0.map(|value| value.to_string())
    }
}

/// Checks that no followed counter went down or started anew in what the Collector got; says how
/// many series there are.
pub(crate) fn continued(exports: &[Arc<Export>]) -> anyhow::Result<usize> {
    let mut newest: BTreeMap<&Series, &Point> = BTreeMap::new();
    for point in exports.iter().flat_map(|export| &export.points) {
        if !COUNTERS.iter().any(|counter| counter.counts(&point.series)) {
            continue;
        }
        if let Some(before) = newest.insert(&point.series, point) {
            let metric = &point.series.metric;
            ensure!(point.value.total() >= before.value.total(), "{metric} went down");
            ensure!(point.start_time == before.start_time, "{metric} started anew");
        }
    }
    Ok(newest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pharos_testkit::Value;

    fn export(allowed: &str, value: i64, start_time: u64) -> Arc<Export> {
        let series = Arc::new(Series {
            resource: BTreeMap::new(),
            scope: "kyverno".into(),
            metric: "kyverno_admission_requests".into(),
            attributes: BTreeMap::from([("request_allowed".into(), allowed.into())]),
        });
        let value = Value::Int(value);
        Arc::new(Export { points: vec![Point { series, start_time, time: 9, value }] })
    }

    #[test]
    fn both_ways_of_reading_give_the_same_totals() {
        let text = "kyverno_admission_requests_total{request_allowed=\"true\",resource_kind=\"a\"} 2\n\
                    kyverno_admission_requests_total{request_allowed=\"true\",resource_kind=\"b\"} 3\n";
        let scraped = Totals::scraped(&prometheus::parse(text).unwrap());
        let exported = Totals::exported(&[export("true", 4, 1), export("true", 5, 1)]);
        assert_eq!(scraped, exported);
        assert_eq!(scraped.requests(), (5.0, 0.0));
        assert!(exported.covers(&Totals::exported(&[export("true", 4, 1)])));
        assert!(!exported.covers(&Totals::exported(&[export("false", 1, 1)])));
    }

    #[test]
    fn a_reset_is_found() {
        let grown = [export("true", 4, 1), export("true", 4, 1), export("false", 1, 2)];
        assert_eq!(continued(&grown).unwrap(), 2);
        let lower = continued(&[export("true", 4, 1), export("true", 3, 1)]);
        assert!(lower.unwrap_err().to_string().contains("went down"));
        let anew = continued(&[export("true", 4, 1), export("true", 5, 2)]);
        assert!(anew.unwrap_err().to_string().contains("started anew"));
    }
}
