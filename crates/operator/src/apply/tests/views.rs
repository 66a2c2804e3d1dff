//! What the pipeline says about views, which knows the instruments.

use pharos_telemetry::{Declaration, InstrumentKind};

use super::*;

const COUNTER: Declaration = Declaration {
    scope: "test",
    name: "a_counter",
    kind: InstrumentKind::Counter,
    unit: "",
    description: "Counts.",
    attributes: &[],
    boundaries: &[],
};
const HISTOGRAM: Declaration = Declaration {
    name: "a_histogram",
    kind: InstrumentKind::Histogram,
    boundaries: &[1.0, 2.0],
    ..COUNTER
};

fn process() -> Process {
    let mut catalogue = Catalogue::new();
    catalogue.counter(&COUNTER);
    catalogue.histogram(&HISTOGRAM);
    Process::with(catalogue)
}

/// Pushed, with these boundaries for a metric.
fn buckets(metric: &str, boundaries: &[&str]) -> Value {
    let aggregation = json!({
        "type": "ExplicitBucketHistogram",
        "explicitBucketHistogram": {"boundaries": boundaries},
    });
    let stream = json!({"aggregation": aggregation});
    let mut spec = pushed("http://127.0.0.1:9");
    spec["metrics"]["views"] =
        json!([{"name": "v", "selector": {"instrumentName": metric}, "stream": stream}]);
    spec
}

async fn settled(process: &mut Process, generation: i64) -> ConfigReport {
    let ended = |report: &Report| {
        let config = report.config.as_ref();
        config.is_some_and(|it| it.generation == generation && it.state != State::Applying)
    };
    process.reported(ended).await.config.unwrap()
}

#[tokio::test]
async fn a_view_that_cannot_be_is_unsupported_and_one_that_finds_nothing_is_named() {
    let mut process = process();
    process.set(&[(1, buckets("a_counter", &["1"]))]);
    let refused = settled(&mut process, 1).await;
    assert_eq!(refused.spec.reason, "UnsupportedValue");
    assert!(refused.spec.message.starts_with("spec.metrics.views[v]: "), "{refused:?}");
    assert!(failed(&refused.state), "{refused:?}");

    process.set(&[(2, buckets("nothing", &["1"]))]);
    let odd = settled(&mut process, 2).await;
    assert_eq!((odd.spec.reason.as_str(), &odd.state), ("Accepted", &State::Programmed));
    assert!(odd.spec.message.starts_with("spec.metrics.views[v]: "), "{odd:?}");
}

#[tokio::test]
async fn what_starts_again_is_named_until_the_next_generation() {
    let mut process = process();
    process.set(&[(1, pushed("http://127.0.0.1:9"))]);
    assert_eq!(settled(&mut process, 1).await.restarts, "");
    process.set(&[(2, buckets("a_histogram", &["1.5"]))]);
    let restarts = settled(&mut process, 2).await.restarts;
    assert!(restarts.contains("a_histogram, because "), "{restarts}");
    assert!(!restarts.contains("a_counter"), "{restarts}");
    let mut again = buckets("a_histogram", &["1.5"]);
    again["metrics"]["exportPeriodSeconds"] = json!(7);
    process.set(&[(3, again)]);
    assert_eq!(settled(&mut process, 3).await.restarts, "");
}
