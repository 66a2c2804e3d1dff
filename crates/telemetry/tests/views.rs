//! What views and filters make of what is recorded, as a scrape shows it.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use opentelemetry::KeyValue;
use pharos_telemetry::config::{Aggregation, AttributeKeys, MetricShape, ValueFilter};
use pharos_telemetry::{
    Catalogue, Config, Counter, Declaration, Histogram, InstrumentKind, Pipeline, Reloader, Scrape,
    Unsupported, ViewFinding,
};
use pharos_testkit::prometheus::parse;
use support::{PATIENCE, commit, scraped, set, start_with, view};

static REQUESTS: Declaration = Declaration {
    scope: "test",
    name: "http.requests",
    kind: InstrumentKind::Counter,
    unit: "",
    description: "",
    attributes: &["method", "namespace"],
    boundaries: &[],
};

static SECONDS: Declaration = Declaration {
    name: "seconds",
    kind: InstrumentKind::Histogram,
    boundaries: &[0.1, 1.0],
    ..REQUESTS
};

struct Program {
    pipeline: Pipeline,
    reloader: Reloader,
    requests: Counter,
    seconds: Histogram,
}

impl Program {
    async fn start(shape: MetricShape) -> Self {
        let mut catalogue = Catalogue::new();
        let (requests, seconds) = (catalogue.counter(&REQUESTS), catalogue.histogram(&SECONDS));
        let (pipeline, reloader) = start_with(catalogue);
        let mut program = Self { pipeline, reloader, requests, seconds };
        program.reload(shape).await;
        program
    }

    async fn reload(&mut self, shape: MetricShape) {
        let mut config = Config::prometheus();
        config.metrics.shape = shape;
        commit(&mut self.reloader, config).await.drain(PATIENCE).await;
    }

    /// Twice, and both ways.
    fn record(&self, method: &'static str, namespace: &'static str) {
        let attributes = [KeyValue::new("method", method), KeyValue::new("namespace", namespace)];
        self.requests.add(1, &attributes);
        self.seconds.record(0.5, &attributes);
        let attributes = attributes.into();
        self.requests.series(&attributes).add(1, None);
        self.seconds.series(&attributes).record(0.5, None);
    }

    fn page(&self) -> String {
        match self.pipeline.scrape() {
            Scrape::Text(page) => page,
            Scrape::Off => panic!("nothing to scrape"),
        }
    }

    /// Every value of a label, of one metric.
    fn values(&self, metric: &str, label: &str) -> BTreeSet<String> {
        let samples = parse(&self.page()).unwrap().into_iter();
        let samples = samples.filter(|sample| sample.name == metric);
        samples.filter_map(|mut sample| sample.labels.remove(label)).collect()
    }
}

fn viewed(view: pharos_telemetry::config::View) -> MetricShape {
    MetricShape { views: vec![view], ..MetricShape::default() }
}

#[tokio::test]
async fn a_view_finds_a_metric_by_the_name_that_the_page_shows() {
    let by_name = |name| viewed(view(name, |it| it.aggregation = Some(Aggregation::Drop)));
    let mut program = Program::start(MetricShape::default()).await;
    program.record("GET", "a");
    let samples = parse(&program.page()).unwrap();
    let shown = samples.iter().find(|it| it.name.starts_with("http")).unwrap().name.clone();
    assert_eq!(shown, "http_requests_total");
    program.reload(by_name(&shown)).await;
    program.record("GET", "a");
    assert!(!program.page().contains("http"), "{}", program.page());
    assert_eq!(scraped(&program.page(), "seconds_count"), 4.0);
    program.reload(by_name("seconds")).await;
    program.record("GET", "a");
    assert_eq!(scraped(&program.page(), "http_requests_total"), 2.0, "it starts again");
    assert!(!program.page().contains("seconds"));
}

#[tokio::test]
async fn attributes_that_a_view_leaves_out_are_added_up() {
    let excluded =
        |key| viewed(view("*", |it| it.attributes = AttributeKeys::Excluded(set(&[key]))));
    let mut program = Program::start(excluded("namespace")).await;
    ["a", "b", "c"].into_iter().for_each(|namespace| program.record("GET", namespace));
    assert!(program.values("http_requests_total", "namespace").is_empty());
    assert_eq!(program.values("http_requests_total", "method"), set(&["GET"]));
    program.reload(excluded("method")).await;
    ["a", "b"].into_iter().for_each(|namespace| program.record("GET", namespace));
    assert_eq!(program.values("http_requests_total", "namespace"), set(&["a", "b"]));
    assert_eq!(scraped(&program.page(), "http_requests_total"), 10.0);
    assert_eq!(scraped(&program.page(), "seconds_count"), 10.0);
}

#[tokio::test]
async fn measurements_of_values_that_are_filtered_out_do_not_count() {
    let filter = |include: &[&str], exclude: &[&str]| MetricShape {
        values: ValueFilter {
            key: "namespace".to_owned(),
            include: set(include),
            exclude: set(exclude),
        },
        ..MetricShape::default()
    };
    let mut program = Program::start(filter(&["a", "b"], &["b"])).await;
    let record = |program: &Program| ["a", "b", "c", ""].map(|it| program.record("GET", it));
    record(&program);
    assert_eq!(program.values("http_requests_total", "namespace"), set(&["", "a"]));
    assert_eq!(scraped(&program.page(), "seconds_count"), 4.0);
    program.reload(filter(&[], &["a"])).await;
    record(&program);
    assert_eq!(program.values("http_requests_total", "namespace"), set(&["", "b", "c"]));
    assert_eq!(scraped(&program.page(), "http_requests_total"), 8.0, "two of them from before");
}

#[tokio::test]
async fn buckets_are_those_of_the_view() {
    let buckets = Aggregation::ExplicitBuckets(vec![0.2, 0.7]);
    let program =
        Program::start(viewed(view("seconds", |it| it.aggregation = Some(buckets)))).await;
    program.record("GET", "a");
    assert_eq!(program.values("seconds_bucket", "le"), set(&["+Inf", "0.2", "0.7"]));
}

#[tokio::test]
async fn series_beyond_the_limit_are_counted_together_and_it_is_told() {
    let cardinality_limit = NonZeroU32::new(3);
    let limited = view("http*", |it| it.cardinality_limit = cardinality_limit);
    let program = Program::start(viewed(limited)).await;
    ["a", "b", "c", "d", "e"].into_iter().for_each(|namespace| program.record("GET", namespace));
    let page = program.page();
    assert_eq!(program.values("http_requests_total", "namespace"), set(&["a", "b"]));
    assert_eq!(program.values("http_requests_total", "otel_metric_overflow"), set(&["true"]));
    assert_eq!(scraped(&page, "http_requests_total"), 10.0);
    assert_eq!(program.pipeline.debug().generations.overflowing, set(&["http.requests"]));
    assert_eq!(program.values("seconds_count", "namespace").len(), 5);
}

#[tokio::test]
async fn a_view_that_cannot_be_is_refused_and_one_that_reaches_nothing_is_told() {
    let mut program = Program::start(MetricShape::default()).await;
    program.pipeline.meter("library").u64_counter("opens").build().add(1, &[]);
    let shape = MetricShape {
        views: vec![
            view("typo", |_| {}),
            view("opens_total", |_| {}),
            view("http*", |it| it.aggregation = Some(Aggregation::ExplicitBuckets(vec![1.0]))),
        ],
        ..MetricShape::default()
    };
    let findings = program.pipeline.check(&shape);
    let refused = ViewFinding::Unsupported {
        view: "of http*".to_owned(),
        instrument: "http.requests",
        why: Unsupported::NoHistogram(InstrumentKind::Counter),
    };
    let expected = [
        ViewFinding::Unmatched { view: "of typo".to_owned() },
        ViewFinding::Unreachable { view: "of opens_total".to_owned() },
        refused.clone(),
    ];
    assert_eq!(findings, expected);

    let mut config = Config::prometheus();
    config.metrics.shape = shape;
    let error = program.reloader.prepare(config).await.err().unwrap();
    assert_eq!((error.reason(), error.to_string()), ("View", refused.to_string()));
    assert_eq!(program.pipeline.debug().reloads.refused, 1);
    assert_eq!(program.pipeline.debug().generations.current, 1);
}
