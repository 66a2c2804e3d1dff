use std::sync::Arc;

use pharos_telemetry::{Catalogue, Identity, Metrics, Scrape};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;

/// An applier with a real pipeline, and objects that a test sets.
struct Process {
    pipeline: Pipeline,
    objects: watch::Sender<View<TelemetryConfig>>,
    reports: watch::Receiver<String>,
    shutdown: CancellationToken,
    applier: JoinHandle<(Reloader, TaskTracker)>,
}

impl Process {
    fn start() -> Self {
        let identity = Identity::from_environment("1.0.0", &|_| None);
        let (pipeline, reloader) = Pipeline::start(identity, Catalogue::new()).unwrap();
        let components = BTreeSet::from([Component::Admission]);
        let (sender, reports) = watch::channel(String::new());
        let applier =
            Applier::new(reloader, pipeline.clone(), Config::prometheus(), components, sender);
        let (objects, seen) = watch::channel(View::default());
        let shutdown = CancellationToken::new();
        let applier = tokio::spawn(applier.run(seen, shutdown.clone()));
        Self { pipeline, objects, reports, shutdown, applier }
    }

    fn set(&self, objects: &[(i64, Value)]) {
        let objects = objects.iter().map(|(generation, spec)| {
            let object: TelemetryConfig = serde_json::from_value(json!({
                "apiVersion": "telemetry.pharos.dev/v1alpha1",
                "kind": "TelemetryConfig",
                "metadata": {"name": "x", "uid": "u", "generation": generation},
                "spec": spec,
            }))
            .unwrap();
            let metadata = object.metadata.clone();
            ("u".to_owned(), Observed { metadata, object: Ok(Arc::new(object)) })
        });
        let objects = Some(Arc::new(objects.collect()));
        self.objects.send_modify(|view| view.objects = objects);
    }

    /// Waits until the report says this.
    async fn reported(&mut self, wanted: impl Fn(&Report) -> bool) -> Report {
        let decoded = |report: &String| Report::decode(report).is_ok_and(|report| wanted(&report));
        let report = self.reports.wait_for(decoded).await.unwrap().clone();
        Report::decode(&report).unwrap()
    }

    async fn state(&mut self, generation: i64, wanted: impl Fn(&State) -> bool) -> State {
        let about = |report: &Report| {
            let config = report.config.as_ref();
            config.is_some_and(|it| it.generation == generation && wanted(&it.state))
        };
        self.reported(about).await.config.unwrap().state
    }

    fn is_scraped(&self) -> bool {
        matches!(self.pipeline.scrape(), Scrape::Text(_))
    }
}

fn pushed(endpoint: &str) -> Value {
    json!({
        "exporters": [
            {"name": "o", "type": "OTLP", "otlp": {"protocol": "GRPC", "endpoint": endpoint}},
        ],
        "metrics": {"exporters": ["o"]},
    })
}

fn unsupported() -> Value {
    let mut spec = pushed("http://127.0.0.1:9");
    spec["metrics"]["temporality"] = json!("Delta");
    spec
}

fn failed(state: &State) -> bool {
    matches!(state, State::Failed { .. })
}

#[tokio::test]
async fn an_object_is_programmed_and_its_deletion_goes_back_to_the_defaults() {
    let mut process = Process::start();
    process.reported(|report| report.config.is_none()).await;
    process.set(&[(1, pushed("http://127.0.0.1:9"))]);
    process.state(1, |state| *state == State::Programmed).await;
    assert!(!process.is_scraped());

    process.set(&[]);
    process.reported(|report| report.config.is_none()).await;
    assert!(process.is_scraped());
    assert_eq!(*process.pipeline.running(), Config::prometheus());
}

#[tokio::test]
async fn a_refused_change_leaves_what_ran_before_and_says_which() {
    let mut process = Process::start();
    process.set(&[(1, unsupported())]);
    let state = process.state(1, failed).await;
    assert!(matches!(state, State::Failed { running: Running::Defaults, .. }), "{state:?}");
    assert!(process.is_scraped());

    process.set(&[(2, pushed("http://127.0.0.1:9"))]);
    process.state(2, |state| *state == State::Programmed).await;
    let before = process.pipeline.running();
    process.set(&[(3, unsupported())]);
    let state = process.state(3, failed).await;
    let State::Failed { running: Running::PreviousConfig, message } = &state else {
        panic!("{state:?}")
    };
    assert!(message.starts_with("spec.metrics.temporality: "), "{message}");
    assert_eq!(process.pipeline.running(), before);

    process.set(&[(4, json!({"metrics": {"mode": "Disabled"}}))]);
    process.state(4, |state| *state == State::Programmed).await;
    assert_eq!(process.pipeline.running().metrics, Metrics::default());
}

#[tokio::test]
async fn only_the_last_of_many_changes_has_to_be_programmed() {
    let mut process = Process::start();
    for generation in 1..=100 {
        process.set(&[(generation, pushed(&format!("http://127.0.0.1:{generation}")))]);
    }
    process.state(100, |state| *state == State::Programmed).await;
    let running = format!("{:?}", process.pipeline.running());
    assert!(running.contains("127.0.0.1:100"), "{running}");
}

#[tokio::test]
async fn a_removed_receiver_that_never_answers_does_not_hold_up_the_end() {
    // Accepts by the backlog of the system, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut process = Process::start();
    process.set(&[(1, pushed(&format!("http://{}", silent.local_addr().unwrap())))]);
    process.state(1, |state| *state == State::Programmed).await;
    process.set(&[]);
    process.reported(|report| report.config.is_none()).await;

    process.shutdown.cancel();
    let (reloader, drains) = process.applier.await.unwrap();
    reloader.shutdown(Duration::ZERO).await;
    drains.wait().await;
}
