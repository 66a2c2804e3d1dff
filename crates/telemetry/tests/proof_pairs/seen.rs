//! What receivers saw of one configuration, without times and without what was before it.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use pharos_testkit::prometheus;

use crate::examples::{Example, Fleet, MARK};
use crate::support::Export;

/// What receivers saw of one configuration.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// Which receiver, by which protocol, with which headers and resource, for each signal.
    ways: BTreeSet<String>,
    /// Name, unit, kind, temporality, boundaries.
    streams: BTreeSet<String>,
    /// What was recorded under the configuration, by series, with its attributes.
    increments: BTreeMap<String, Vec<f64>>,
    records: BTreeSet<String>,
}

/// One series: how its numbers are told, and the numbers.
struct Series {
    stream: String,
    is_total: bool,
    numbers: Vec<f64>,
}

// === impl Seen ===

impl Seen {
    pub(crate) fn at(fleet: &Fleet, example: &Example) -> Self {
        let mut seen = Self::default();
        for (place, receiver) in [("plain", &fleet.plain), ("secure", &fleet.secure)] {
            let mut exports = receiver.exports();
            exports.retain(|it| it.header(MARK) == Some(example.name));
            if let (Some(first), Some(last)) = (exports.first(), exports.last()) {
                seen.metrics(first, last);
            }
            for it in &exports {
                for resource in
                    it.request.resource_metrics.iter().filter_map(|it| it.resource.as_ref())
                {
                    seen.way(place, "metrics", it, resource);
                }
            }
            for it in
                receiver.span_exports().iter().filter(|it| it.header(MARK) == Some(example.name))
            {
                seen.records.extend(it.spans().map(|span| format!("span {}", span.name)));
                for resource in
                    it.request.resource_spans.iter().filter_map(|it| it.resource.as_ref())
                {
                    seen.way(place, "traces", it, resource);
                }
            }
            for it in
                receiver.log_exports().iter().filter(|it| it.header(MARK) == Some(example.name))
            {
                seen.records.extend(it.records().map(|it| format!("log {:?}", it.body)));
                for resource in
                    it.request.resource_logs.iter().filter_map(|it| it.resource.as_ref())
                {
                    seen.way(place, "logs", it, resource);
                }
            }
        }
        seen
    }

    /// Part by part, so that a failure can be read.
    pub(crate) fn assert_is(&self, other: &Self, way: &str) {
        let Self { ways, streams, increments, records } = self;
        assert_eq!(ways, &other.ways, "{way}");
        assert_eq!(streams, &other.streams, "{way}");
        assert_eq!(records, &other.records, "{way}");
        for (series, numbers) in increments {
            assert_eq!(Some(numbers), other.increments.get(series), "{way}: {series}");
        }
        assert_eq!(increments.len(), other.increments.len(), "{way}");
    }

    fn way<R>(
        &mut self,
        place: &str,
        signal: &str,
        taken: &crate::support::Taken<R>,
        resource: &Resource,
    ) {
        let mut resource = resource.attributes.clone();
        // Of the process, which is another one every time.
        resource.retain(|it| it.key != "service.instance.id");
        let headers = [MARK, "authorization", "x-scope-orgid", "grpc-encoding", "content-encoding"];
        let headers = headers.map(|name| taken.header(name).map(str::to_owned));
        self.ways.insert(format!("{place} {signal} {:?} {headers:?} {resource:?}", taken.protocol));
    }

    /// The first export has what was before, the last one what came since, or all of it.
    fn metrics(&mut self, first: &Export, last: &Export) {
        let before = series(first);
        for (name, Series { stream, is_total, numbers }) in series(last) {
            let since = match before.get(&name).filter(|_| is_total) {
                Some(before) => {
                    numbers.iter().zip(&before.numbers).map(|(now, was)| now - was).collect()
                }
                None => numbers,
            };
            if since.iter().any(|number| *number != 0.0) {
                self.streams.insert(stream);
                self.increments.insert(name, since);
            }
        }
    }
}

fn series(export: &Export) -> BTreeMap<String, Series> {
    let mut all = BTreeMap::new();
    let scopes = export.request.resource_metrics.iter().flat_map(|it| &it.scope_metrics);
    for metric in scopes.flat_map(|scope| &scope.metrics) {
        let mut add = |how: String, is_total, attributes: &[KeyValue], numbers| {
            let stream = format!("{} {} {} {how}", metric.name, metric.unit, metric.description);
            let mut attributes: Vec<_> = attributes.iter().map(|it| format!("{it:?}")).collect();
            attributes.sort();
            let name = format!("{} {attributes:?}", metric.name);
            all.insert(name, Series { stream, is_total, numbers });
        };
        match metric.data.as_ref().unwrap() {
            Data::Sum(sum) => sum.data_points.iter().for_each(|it| {
                let how = format!("sum {} {}", sum.aggregation_temporality, sum.is_monotonic);
                add(how, sum.aggregation_temporality == 2, &it.attributes, vec![number(it.value)]);
            }),
            Data::Gauge(gauge) => gauge.data_points.iter().for_each(|it| {
                add("gauge".to_owned(), false, &it.attributes, vec![number(it.value)]);
            }),
            Data::Histogram(histogram) => histogram.data_points.iter().for_each(|it| {
                let temporality = histogram.aggregation_temporality;
                let how = format!("histogram {temporality} {:?}", it.explicit_bounds);
                let mut numbers = vec![it.count as f64, it.sum.unwrap()];
                numbers.extend(it.bucket_counts.iter().map(|count| *count as f64));
                add(how, temporality == 2, &it.attributes, numbers);
            }),
            // Its scale depends on what was before, too.
            Data::ExponentialHistogram(histogram) => histogram.data_points.iter().for_each(|it| {
                let temporality = histogram.aggregation_temporality;
                let numbers = vec![it.count as f64, it.sum.unwrap(), it.zero_count as f64];
                add(
                    format!("exponential {temporality}"),
                    temporality == 2,
                    &it.attributes,
                    numbers,
                );
            }),
            Data::Summary(_) => panic!("{metric:?}"),
        }
    }
    all
}

fn number(value: Option<Value>) -> f64 {
    match value.unwrap() {
        Value::AsInt(value) => value as f64,
        Value::AsDouble(value) => value,
    }
}

/// The total of every series of a page but those of its buckets.
pub(crate) fn totals(page: &str) -> BTreeMap<String, f64> {
    let samples = prometheus::parse(page).unwrap();
    let told = samples.iter().filter(|it| !it.name.ends_with("_bucket"));
    told.map(|it| {
        let labels = it.labels.iter().filter(|(key, _)| !key.starts_with("otel_scope"));
        let labels: BTreeMap<_, _> = labels.collect();
        (format!("{} {labels:?}", it.name), it.value)
    })
    .collect()
}

/// What came on top, where something did; a gauge is what it is.
pub(crate) fn difference(
    now: &BTreeMap<String, f64>,
    before: &BTreeMap<String, f64>,
) -> BTreeMap<String, f64> {
    let before = |series: &String| match series.starts_with("latest") {
        true => 0.0,
        false => before.get(series).copied().unwrap_or_default(),
    };
    let since = now.iter().map(|(series, total)| (series.clone(), total - before(series)));
    since.filter(|(series, since)| *since != 0.0 && !series.starts_with("uptime")).collect()
}
