use std::convert::Infallible;
use std::sync::Arc;

use kube::Client;
use kube::client::Body;
use pharos_api::telemetryconfig::Signal;
use pharos_cluster::references::{DataObject, Found, Reading};
use pharos_cluster::view::Observed;
use pharos_telemetry::{Catalogue, Identity, Metrics, Scrape};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::report::{ConfigReport, ReferencesReport, Report, Running, State};

mod restart;
mod views;

/// An applier with a real pipeline, and objects that a test sets.
struct Process {
    pipeline: Pipeline,
    objects: watch::Sender<View<TelemetryConfig>>,
    references: watch::Sender<References>,
    wanted: watch::Receiver<Wanted>,
    reports: watch::Receiver<String>,
    shutdown: CancellationToken,
    applier: JoinHandle<(Reloader, TaskTracker)>,
}

impl Process {
    fn start() -> Self {
        Self::with(Catalogue::new())
    }

    fn with(catalogue: Catalogue) -> Self {
        Self::beside(catalogue, answering(200, Vec::new()))
    }

    /// Beside this API server.
    fn beside(catalogue: Catalogue, client: Client) -> Self {
        let identity = Identity::from_environment("1.0.0", &|_| None);
        let (pipeline, reloader) = Pipeline::start(identity, catalogue).unwrap();
        let components = BTreeSet::from([Component::Admission]);
        let (sender, reports) = watch::channel(String::new());
        let applier =
            Applier::new(reloader, pipeline.clone(), Config::prometheus(), components, sender);
        let (objects, seen) = watch::channel(View::default());
        let (references, read) = watch::channel(References::default());
        let (asks, wanted) = watch::channel(Wanted::new());
        let shutdown = CancellationToken::new();
        let revisions = Revisions { client, namespace: "pharos".to_owned() };
        let sight = Sight { objects: seen, references: read, wanted: asks, revisions };
        let applier = tokio::spawn(applier.run(sight, shutdown.clone()));
        Self { pipeline, objects, references, wanted, reports, shutdown, applier }
    }

    /// The Secret `token`, in this version, holds this under the key `value`.
    fn set_token(&self, version: &str, value: Option<&'static [u8]>) {
        let values = [("value".to_owned(), value.map(Into::into))];
        self.set_reading(Reading::Found(Found::new("t", version, values)));
    }

    fn set_reading(&self, reading: Reading) {
        self.references
            .send_replace([(DataObject::secret("token"), reading)].into_iter().collect());
    }

    /// Waits for the outcome of an attempt that found this of its references.
    async fn resolved_refs(&mut self, reason: &str) -> (State, ReferencesReport, String) {
        let about = |report: &Report| {
            report.config.as_ref().is_some_and(|it| {
                let ended = it.state != State::Applying || reason == "Pending";
                it.references.reason == reason && ended
            })
        };
        let config = self.reported(about).await.config.unwrap();
        (config.state, config.references, config.config_hash)
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

/// An API server that answers every request like this, with a list of ControllerRevisions.
fn answering(code: u16, revisions: Vec<Value>) -> Client {
    let body = match code {
        200 => json!({
            "apiVersion": "apps/v1", "kind": "ControllerRevisionList",
            "metadata": {"resourceVersion": "1"}, "items": revisions,
        }),
        _ => json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure",
            "code": code, "reason": "x", "message": "no",
        }),
    };
    let answer = move |_: http::Request<Body>| {
        let body = Body::from(body.to_string().into_bytes());
        let response = http::Response::builder().status(code).body(body).unwrap();
        async move { Ok::<_, Infallible>(response) }
    };
    Client::new(tower::service_fn(answer), "pharos")
}

fn pushed(endpoint: &str) -> Value {
    json!({
        "exporters": [
            {"name": "o", "type": "OTLP", "otlp": {"protocol": "GRPC", "endpoint": endpoint}},
        ],
        "metrics": {"exporters": ["o"]},
    })
}

fn invalid() -> Value {
    let mut spec = pushed("http://127.0.0.1:9");
    spec["resource"] = json!({"attributes": [{"name": "service.name", "value": "x"}]});
    spec
}

/// Pushed, with a header from the Secret `token`.
fn with_token() -> Value {
    let mut spec = pushed("http://127.0.0.1:9");
    let source = json!({"secretKeyRef": {"name": "token", "key": "value"}});
    spec["exporters"][0]["otlp"]["headers"] = json!([{"name": "a", "valueFrom": source}]);
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
    process.set(&[(1, invalid())]);
    let state = process.state(1, failed).await;
    assert!(matches!(state, State::Failed { running: Running::Defaults, .. }), "{state:?}");
    assert!(process.is_scraped());

    process.set(&[(2, pushed("http://127.0.0.1:9"))]);
    process.state(2, |state| *state == State::Programmed).await;
    let before = process.pipeline.running();
    process.set(&[(3, invalid())]);
    let state = process.state(3, failed).await;
    let State::Failed { running: Running::PreviousConfig, message } = &state else {
        panic!("{state:?}")
    };
    assert!(message.starts_with("spec.resource.attributes[service.name]: "), "{message}");
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

#[tokio::test]
async fn an_object_waits_for_what_it_refers_to() {
    let mut process = Process::start();
    process.set(&[(1, with_token())]);
    let (state, ..) = process.resolved_refs("Pending").await;
    assert_eq!(state, State::Applying);
    process
        .wanted
        .wait_for(|wanted| wanted.contains_key(&DataObject::secret("token")))
        .await
        .unwrap();

    process.set_reading(Reading::Missing);
    let (state, ..) = process.resolved_refs("SecretNotFound").await;
    assert!(matches!(state, State::Failed { running: Running::Defaults, .. }), "{state:?}");

    process.set_token("1", Some(b"one"));
    let (state, ..) = process.resolved_refs("ResolvedRefs").await;
    assert_eq!(state, State::Programmed);

    process.set(&[]);
    process.wanted.wait_for(Wanted::is_empty).await.unwrap();
}

#[tokio::test]
async fn a_rotation_reloads_and_what_goes_bad_leaves_the_last_that_was_good() {
    let mut process = Process::start();
    process.set_token("1", Some(b"one"));
    process.set(&[(1, with_token())]);
    let (state, _, first) = process.resolved_refs("ResolvedRefs").await;
    assert_eq!(state, State::Programmed);
    let one = process.pipeline.running();

    for (bad, reason) in [
        (Reading::Missing, "SecretNotFound"),
        (Reading::Forbidden, "RefNotPermitted"),
        (Reading::Found(Found::new("t", "2", [("value".to_owned(), None)])), "SecretKeyMissing"),
    ] {
        process.set_reading(bad);
        let (state, references, hash) = process.resolved_refs(reason).await;
        assert_eq!(state, State::Programmed, "this generation is in force: {reason}");
        assert!(references.message.ends_with("(what was read before stays in force)"));
        assert_eq!(hash, first, "the hash is that of what is in force");
        assert_eq!(process.pipeline.running(), one);
    }

    process.set_token("3", Some(b"two"));
    let (_, _, second) = process.resolved_refs("ResolvedRefs").await;
    assert_ne!(second, first);
    assert_ne!(process.pipeline.running(), one);

    // A new generation is not made of what is not there any more.
    process.set_reading(Reading::Missing);
    process.resolved_refs("SecretNotFound").await;
    process.set(&[(2, with_token())]);
    let state = process.state(2, failed).await;
    assert!(matches!(state, State::Failed { running: Running::PreviousConfig, .. }), "{state:?}");
}

#[tokio::test]
async fn what_was_written_anew_and_says_the_same_reloads_nothing() {
    let mut process = Process::start();
    process.set_token("1", Some(b"one"));
    process.set(&[(1, with_token())]);
    let (_, _, first) = process.resolved_refs("ResolvedRefs").await;
    let reloads = process.pipeline.debug().reloads;
    process.set_token("2", Some(b"one"));
    let another =
        |report: &Report| report.config.as_ref().is_some_and(|config| config.config_hash != first);
    let report = process.reported(another).await.config.unwrap();
    assert_eq!(report.state, State::Programmed);
    assert_eq!(process.pipeline.debug().reloads, reloads);
}

#[tokio::test]
async fn a_bad_secret_does_not_hold_up_the_rotation_of_another() {
    let mut process = Process::start();
    let mut spec = with_token();
    let source = json!({"secretKeyRef": {"name": "other", "key": "value"}});
    let headers = spec["exporters"][0]["otlp"]["headers"].as_array_mut().unwrap();
    headers.push(json!({"name": "b", "valueFrom": source}));
    let found = |name: &str, version: &str, value: &'static [u8]| {
        let values = [("value".to_owned(), Some(value.into()))];
        (DataObject::secret(name), Reading::Found(Found::new(name, version, values)))
    };
    let read = [found("token", "1", b"one"), found("other", "1", b"one")];
    process.references.send_replace(read.into_iter().collect());
    process.set(&[(1, spec)]);
    process.resolved_refs("ResolvedRefs").await;
    let before = process.pipeline.running();

    let read = [(DataObject::secret("token"), Reading::Missing), found("other", "2", b"two")];
    process.references.send_replace(read.into_iter().collect());
    process.resolved_refs("SecretNotFound").await;
    let now = process.pipeline.running();
    let headers = |config: &Config| {
        let (_, receiver) = config.receivers().next().unwrap();
        receiver.headers.clone()
    };
    assert_eq!(headers(&now)[0], headers(&before)[0]);
    assert_ne!(headers(&now)[1], headers(&before)[1]);
}

#[tokio::test]
async fn every_signal_of_an_exporter_is_reported() {
    let mut process = Process::start();
    let mut spec = pushed("http://127.0.0.1:9");
    spec["traces"] = json!({"exporters": ["o"]});
    spec["logs"] = json!({"exporters": ["o"]});
    process.set(&[(1, spec)]);
    let all = |report: &Report| {
        report
            .config
            .as_ref()
            .is_some_and(|config| config.state == State::Programmed && config.exporters.len() == 3)
    };
    let config = process.reported(all).await.config.unwrap();
    let signals: Vec<_> = config.exporters.iter().map(|exporter| exporter.signal).collect();
    assert_eq!(signals, [Signal::Metrics, Signal::Traces, Signal::Logs]);
}
