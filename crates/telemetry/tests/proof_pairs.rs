//! From every configuration to every other: what follows is what a fresh start with the other gives,
//! and what came before is there as far as the carry-over table says. The configurations are those of
//! the examples of TelemetryConfig, with receivers of this process.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail anywhere, and makes spans of its own"
)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "proof_pairs/examples.rs"]
mod examples;
#[path = "proof_pairs/model.rs"]
mod model;
#[path = "proof_pairs/seen.rs"]
mod seen;
mod support;

use std::collections::BTreeMap;

use examples::{Example, Fleet, NAMES};
use model::Model;
use opentelemetry::KeyValue;
use opentelemetry::trace::Tracer as _;
use pharos_telemetry::{
    Catalogue, Counter, Declaration, Gauge, Histogram, InstrumentKind, Pipeline, Reloader,
    UpDownCounter,
};
use pharos_testkit::eventually;
use seen::Seen;
use support::{PATIENCE, start_with};
use tracing_subscriber::layer::SubscriberExt as _;

static RESULTS: Declaration = Declaration {
    scope: "test",
    name: "kyverno_policy_results",
    kind: InstrumentKind::Counter,
    unit: "{result}",
    description: "Results.",
    attributes: &["policy", "resource_namespace", "resource_request_operation"],
    boundaries: &[],
};
static QUERIES: Declaration =
    Declaration { name: "kyverno_client_queries", attributes: &["operation"], ..RESULTS };
static REVIEW: Declaration = Declaration {
    name: "kyverno_admission_review_duration_seconds",
    kind: InstrumentKind::Histogram,
    unit: "s",
    attributes: &["resource_namespace"],
    boundaries: &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
    ..RESULTS
};
static EXECUTION: Declaration =
    Declaration { name: "kyverno_policy_execution_duration_seconds", ..REVIEW };
static IN_FLIGHT: Declaration = Declaration {
    name: "in_flight",
    kind: InstrumentKind::UpDownCounter,
    attributes: &["resource_namespace"],
    ..RESULTS
};
static LATEST: Declaration =
    Declaration { name: "latest", kind: InstrumentKind::Gauge, ..IN_FLIGHT };
static UPTIME: Declaration = Declaration {
    name: "uptime",
    kind: InstrumentKind::ObservableCounter,
    unit: "s",
    attributes: &[],
    ..RESULTS
};

/// A program with instruments of every kind.
struct Program {
    pipeline: Pipeline,
    reloader: Reloader,
    results: Counter,
    queries: Counter,
    review: Histogram,
    execution: Histogram,
    in_flight: UpDownCounter,
    latest: Gauge,
}

// === impl Program ===

impl Program {
    fn start() -> Self {
        let mut catalogue = Catalogue::new();
        let (results, queries) = (catalogue.counter(&RESULTS), catalogue.counter(&QUERIES));
        let (review, execution) = (catalogue.histogram(&REVIEW), catalogue.histogram(&EXECUTION));
        let in_flight = catalogue.up_down_counter(&IN_FLIGHT);
        let latest = catalogue.gauge(&LATEST);
        catalogue.observable_counter(&UPTIME, |observer| observer.observe(42, &[]));
        let (pipeline, reloader) = start_with(catalogue);
        Self { pipeline, reloader, results, queries, review, execution, in_flight, latest }
    }

    /// The same every time.
    fn record(&self) {
        for namespace in ["default", "kube-system", "shop"] {
            let of = KeyValue::new("resource_namespace", namespace);
            for operation in ["CREATE", "UPDATE"] {
                let policy = KeyValue::new("policy", "p");
                let operation = KeyValue::new("resource_request_operation", operation);
                self.results.add(1, &[policy, of.clone(), operation]);
            }
            for seconds in [0.0625, 0.5, 8.0] {
                self.review.record(seconds, std::slice::from_ref(&of));
                self.execution.record(seconds, std::slice::from_ref(&of));
            }
            self.in_flight.add(3, std::slice::from_ref(&of));
            self.in_flight.add(-2, std::slice::from_ref(&of));
            self.latest.record(7.0, &[of]);
        }
        self.queries.add(5, &[KeyValue::new("operation", "get")]);
        drop(self.pipeline.tracer("test").start("a span"));
        let subscriber = tracing_subscriber::registry().with(self.pipeline.log_layer());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("information");
            tracing::warn!("a warning");
        });
    }

    async fn reload(&mut self, example: &Example) {
        let prepared = self.reloader.prepare(example.config.clone()).await.unwrap();
        assert_eq!(prepared.commit().drain(PATIENCE).await.lost(), 0);
    }

    /// The totals of every series at the last commit.
    fn totals(&self) -> BTreeMap<String, f64> {
        seen::totals(&self.pipeline.last_commit_exposition())
    }
}

/// What came of a run.
struct Run {
    /// At the commit of the last configuration.
    base: BTreeMap<String, f64>,
    /// What was recorded since, in totals.
    increments: BTreeMap<String, f64>,
    seen: Seen,
}

async fn run(fleet: &Fleet, before: Option<&Example>, example: &Example) -> Run {
    let mut program = Program::start();
    fleet.forget();
    if let Some(before) = before {
        program.reload(before).await;
        program.record();
        // A queue that is not empty is the next sink's.
        let emptied = eventually("empty queues", PATIENCE, async || {
            let sinks = program.pipeline.debug().sinks;
            match sinks.values().map(|it| it.items_queued).sum() {
                0 => Ok(()),
                queued => Err::<(), _>(format!("{queued} records wait")),
            }
        });
        emptied.await.unwrap();
    }
    program.reload(example).await;
    let base = program.totals();
    fleet.until_begun(example).await;
    program.record();
    let pipeline = program.pipeline.clone();
    let report = program.reloader.shutdown(PATIENCE).await;
    assert_eq!(report.drained.lost(), 0, "{report:?}");
    let totals = seen::totals(&pipeline.last_commit_exposition());
    let increments = seen::difference(&totals, &base);
    Run { base, increments, seen: Seen::at(fleet, example) }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_a_configuration_leads_to_the_same_as_a_fresh_start() {
    let fleet = Fleet::start();
    let examples: Vec<Example> = NAMES.into_iter().map(|name| fleet.example(name)).collect();
    for example in &examples {
        let fresh = run(&fleet, None, example).await;
        assert!(
            fresh.base.values().all(|total| *total == 0.0 || *total == 42.0),
            "{:?}",
            fresh.base
        );
        assert!(!fresh.increments.is_empty());
        // The same again is no reload.
        for before in examples.iter().filter(|before| before.name != example.name) {
            let way = format!("{} -> {}", before.name, example.name);
            let later = run(&fleet, Some(before), example).await;
            later.seen.assert_is(&fresh.seen, &way);
            assert_eq!(later.increments, fresh.increments, "{way}");
            let carried = Model::of(before).carried(&Model::of(example));
            let differs = |name: &&String| later.base.get(*name) != carried.get(*name);
            let names: Vec<_> = later.base.keys().chain(carried.keys()).filter(differs).collect();
            assert_eq!(later.base, carried, "{way}: {names:?}");
        }
    }
}
