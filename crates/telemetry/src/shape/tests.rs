use super::*;

use std::collections::BTreeSet;

use crate::config::Glob;

const fn declaration(name: &'static str, kind: InstrumentKind) -> Declaration {
    Declaration {
        scope: "test",
        name,
        kind,
        unit: "",
        description: "",
        attributes: &["a", "b"],
        boundaries: &[],
    }
}

static REQUESTS: Declaration = declaration("http.requests", InstrumentKind::Counter);
static SECONDS: Declaration = declaration("seconds", InstrumentKind::Histogram);
static QUEUE: Declaration = declaration("queue", InstrumentKind::ObservableGauge);

fn view(name: &str, pattern: &str) -> View {
    View {
        name: name.to_owned(),
        selector: Selector { name: Glob::parse(pattern).ok(), kind: None },
        attributes: AttributeKeys::Unchanged,
        cardinality_limit: None,
        aggregation: None,
    }
}

fn aggregating(name: &str, pattern: &str, aggregation: Aggregation) -> View {
    View { aggregation: Some(aggregation), ..view(name, pattern) }
}

fn resolve(views: Vec<View>) -> (Shape, Vec<ViewFinding>) {
    let declared = [&REQUESTS, &SECONDS, &QUEUE];
    let declared = declared.map(|declaration| Declared { declaration, callbacks: Vec::new() });
    let wanted = MetricShape { views, ..MetricShape::default() };
    Shape::resolve(&declared, [("tcp.opens", InstrumentKind::Counter)].into_iter(), &wanted)
}

fn stream<'a>(shape: &'a Shape, name: &str) -> &'a StreamShape {
    shape.shape("test", name).unwrap()
}

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[test]
fn without_views_every_stream_is_as_it_was_declared() {
    let (shape, findings) = resolve(Vec::new());
    assert_eq!(findings, []);
    let requests = stream(&shape, "http.requests");
    assert_eq!(requests.aggregation, StreamAggregation::Sum);
    assert_eq!((requests.dropped, requests.limit), (false, 2000));
    assert_eq!(requests.keys, Keys::new(["a", "b"]));
    assert_eq!(stream(&shape, "seconds").aggregation, StreamAggregation::Explicit(Vec::new()));
    assert_eq!(shape.shape("other", "seconds"), None);
}

#[test]
fn a_view_finds_an_instrument_by_either_of_its_names_and_by_its_kind() {
    for pattern in ["http.requests", "http_requests_total", "http*", "*_total", "http?requests"] {
        let (shape, findings) = resolve(vec![aggregating("v", pattern, Aggregation::Drop)]);
        assert!(stream(&shape, "http.requests").dropped, "{pattern}");
        assert!(!stream(&shape, "seconds").dropped, "{pattern}");
        assert_eq!(findings, []);
    }
    let kind = Some(InstrumentKind::ObservableGauge);
    let selector = Selector { name: None, kind };
    let view = View { selector, ..aggregating("v", "*", Aggregation::Drop) };
    let (shape, _) = resolve(vec![view]);
    assert!(stream(&shape, "queue").dropped && !stream(&shape, "seconds").dropped);
}

#[test]
fn of_two_views_that_set_the_same_the_later_wins_and_the_rest_adds_up() {
    let first = View {
        attributes: AttributeKeys::Included(set(&["a", "unknown"])),
        cardinality_limit: NonZeroU32::new(7),
        ..aggregating("first", "*", Aggregation::Drop)
    };
    let second = View {
        attributes: AttributeKeys::Excluded(set(&["a"])),
        ..aggregating("second", "seconds", Aggregation::ExplicitBuckets(vec![1.0, 2.0]))
    };
    let (shape, findings) = resolve(vec![first, second]);
    assert_eq!(findings, []);
    let seconds = stream(&shape, "seconds");
    assert_eq!((seconds.dropped, seconds.limit), (false, 7));
    assert_eq!(seconds.keys, Keys::new(["b"]), "of what is declared, not of what was left");
    assert_eq!(seconds.aggregation, StreamAggregation::Explicit(vec![1.0, 2.0]));
    let requests = stream(&shape, "http.requests");
    assert_eq!((requests.dropped, &requests.keys), (true, &Keys::new(["a"])));
}

#[test]
fn a_later_default_takes_an_aggregation_back() {
    let exponential = Aggregation::Exponential { max_size: 160, max_scale: 20 };
    let both = vec![
        aggregating("first", "seconds", exponential),
        aggregating("second", "seconds", Aggregation::Default),
    ];
    let (shape, _) = resolve(both);
    assert_eq!(stream(&shape, "seconds").aggregation, StreamAggregation::Explicit(Vec::new()));
}

#[test]
fn a_view_that_reaches_nothing_is_told_and_refuses_nothing() {
    let (_, findings) = resolve(vec![view("typo", "requets"), view("foreign", "tcp_opens_total")]);
    let unmatched = ViewFinding::Unmatched { view: "typo".to_owned() };
    let unreachable = ViewFinding::Unreachable { view: "foreign".to_owned() };
    assert_eq!(findings, [unmatched, unreachable]);
    assert!(!findings.iter().any(ViewFinding::refuses));
}

#[test]
fn only_histograms_can_be_put_into_buckets() {
    let buckets = || Aggregation::ExplicitBuckets(vec![1.0]);
    let exponential = Aggregation::Exponential { max_size: 160, max_scale: 20 };
    for (pattern, aggregation, instrument) in [
        ("http*", buckets(), Some("http.requests")),
        ("queue", exponential.clone(), Some("queue")),
        ("*", exponential, Some("http.requests")),
        ("seconds", buckets(), None),
    ] {
        let (shape, findings) = resolve(vec![aggregating("v", pattern, aggregation)]);
        let named = findings.iter().filter(|it| it.refuses()).map(|finding| match finding {
            ViewFinding::Unsupported { instrument, .. } => *instrument,
            other => panic!("{other:?}"),
        });
        assert_eq!(named.collect::<Vec<_>>(), Vec::from_iter(instrument), "{pattern}");
        assert_eq!(stream(&shape, "queue").aggregation, StreamAggregation::LastValue);
    }
}

#[test]
fn buckets_that_cannot_be_are_refused() {
    for (aggregation, expected) in [
        (Aggregation::ExplicitBuckets(vec![2.0, 1.0]), Unsupported::Boundaries),
        (Aggregation::ExplicitBuckets(vec![1.0, 1.0]), Unsupported::Boundaries),
        (Aggregation::ExplicitBuckets(vec![f64::INFINITY]), Unsupported::Boundaries),
        (Aggregation::ExplicitBuckets(vec![f64::NAN]), Unsupported::Boundaries),
        (Aggregation::Exponential { max_size: 0, max_scale: 20 }, Unsupported::Scale),
        (Aggregation::Exponential { max_size: 1, max_scale: 21 }, Unsupported::Scale),
        (Aggregation::Exponential { max_size: 1, max_scale: -11 }, Unsupported::Scale),
    ] {
        let (_, findings) = resolve(vec![aggregating("v", "seconds", aggregation)]);
        let [ViewFinding::Unsupported { why, .. }] = findings[..] else { panic!("{findings:?}") };
        assert_eq!(why, expected);
    }
}

#[test]
fn what_starts_again_is_known_before_anything_changes() {
    let declared = [Declared { declaration: &SECONDS, callbacks: Vec::new() }];
    let shape = |boundaries: &[f64]| {
        let view = aggregating("v", "*", Aggregation::ExplicitBuckets(boundaries.to_vec()));
        let wanted = MetricShape { views: vec![view], ..MetricShape::default() };
        Shape::resolve(&declared, std::iter::empty(), &wanted).0
    };
    let reset = resets(&declared, &shape(&[1.0, 2.0]), &shape(&[1.0, 3.0]));
    assert_eq!(
        reset.iter().map(|it| (it.name, it.reason)).collect::<Vec<_>>(),
        [("seconds", "Boundaries")]
    );
    assert_eq!(resets(&declared, &shape(&[1.0, 2.0]), &shape(&[2.0])), []);
}
