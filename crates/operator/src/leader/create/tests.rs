//! The creation before an API server that answers as it is told to, on a clock that only waits move.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body as Stream;
use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::judge::tests::namespace::{Namespace, prometheus};

/// An API server that takes POSTs, and a watch of what it holds.
struct Stage {
    server: Arc<Mutex<Server>>,
    view: watch::Sender<View<TelemetryConfig>>,
    leadership: watch::Sender<Leadership>,
    creating: JoinHandle<()>,
}

#[derive(Default)]
struct Server {
    /// What a TelemetryConfig is answered with; 0: not at all.
    code: u16,
    /// The TelemetryConfigs that it was sent.
    sent: Vec<Value>,
    /// The notes of Events.
    events: Vec<String>,
}

fn manifest() -> Value {
    json!({
        "apiVersion": "telemetry.pharos.dev/v1alpha1", "kind": "TelemetryConfig",
        "metadata": {
            "name": "default", "namespace": "ns",
            "labels": {"app.kubernetes.io/name": "pharos"}, "annotations": {"a": "b"},
        },
        "spec": {"metrics": {"exporters": ["prometheus"]}, "of": {"a": ["later", "version"]}},
    })
}

// === impl Stage ===

impl Stage {
    /// A follower that does not know yet what is in its namespace.
    fn set() -> Self {
        let server = Arc::new(Mutex::new(Server { code: 201, ..Server::default() }));
        let answering = Arc::clone(&server);
        let answer = move |request: Request<Body>| {
            let server = Arc::clone(&answering);
            async move { Ok::<_, Infallible>(answer(&server, request.map(Stream::new)).await) }
        };
        let (view, objects) = watch::channel(View::default());
        let (leadership, led) = watch::channel(Leadership::Follower);
        let client = Client::new(tower::service_fn(answer), "ns");
        let manifest = manifest().to_string().parse().unwrap();
        let creation = Creation::new(client, "ns", "me", manifest, objects, led);
        Self { server, view, leadership, creating: tokio::spawn(creation.run()) }
    }

    fn lead_for(&self, seconds: u64) {
        let until = Instant::now() + Duration::from_secs(seconds);
        self.leadership.send_replace(Leadership::Leader { until });
    }

    fn lead(&self) {
        self.lead_for(36_000);
    }

    /// The watch shows these objects.
    fn show(&self, names: &[&str]) {
        let add = |seen: Namespace, name: &&str| seen.with(name, 1, prometheus());
        let objects = names.iter().fold(Namespace::default(), add).objects;
        self.view.send_replace(View { objects: Some(Arc::new(objects)), trouble: None });
    }

    fn answer_with(&self, code: u16) {
        self.server.lock().unwrap().code = code;
    }

    fn sent(&self) -> Vec<Value> {
        self.server.lock().unwrap().sent.clone()
    }

    fn events(&self) -> Vec<String> {
        self.server.lock().unwrap().events.clone()
    }

    /// Virtual time goes by.
    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

async fn answer(server: &Mutex<Server>, request: Request<Stream>) -> Response<Stream> {
    let (parts, body) = request.into_parts();
    assert_eq!(parts.method, Method::POST, "{parts:?}");
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let code = {
        let mut server = server.lock().unwrap();
        match parts.uri.path() {
            "/apis/telemetry.pharos.dev/v1alpha1/namespaces/ns/telemetryconfigs" => {
                server.sent.push(body.clone());
                server.code
            }
            "/apis/events.k8s.io/v1/namespaces/ns/events" => {
                let regarding = (&body["regarding"]["kind"], &body["regarding"]["name"]);
                assert_eq!(regarding, (&json!("TelemetryConfig"), &json!("default")));
                assert_eq!(
                    (&body["reason"], &body["type"]),
                    (&json!("NotCreated"), &json!("Warning"))
                );
                server.events.push(body["note"].as_str().unwrap().to_owned());
                201
            }
            odd => panic!("{odd}"),
        }
    };
    let answer = match code {
        0 => return std::future::pending().await,
        201 => body,
        code => json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure",
            "code": code, "reason": "x", "message": "as the API server says",
        }),
    };
    Response::builder().status(code).body(Stream::from(answer.to_string())).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_absent_one_is_created_as_it_was_given_and_only_once() {
    let stage = Stage::set();
    stage.lead();
    stage.show(&["another"]);
    stage.pass(1).await;
    assert_eq!(stage.sent(), [manifest()]);
    // The watch shows it late, or somebody deletes it.
    stage.show(&["another"]);
    stage.pass(600).await;
    assert!(stage.creating.is_finished());
    assert_eq!(stage.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_there_is_left_alone_even_when_it_goes() {
    for leads in ["before", "after"] {
        let stage = Stage::set();
        if leads == "before" {
            stage.lead();
        }
        stage.show(&["another", "default"]);
        stage.pass(60).await;
        // As the chart does in the first upgrade.
        stage.show(&["another"]);
        stage.lead();
        stage.pass(600).await;
        assert!(stage.creating.is_finished(), "{leads}");
        assert_eq!(stage.sent(), [Value::Null; 0], "{leads}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_its_definition_at_whichever_api_server_answers() {
    let stage = Stage::set();
    stage.answer_with(404);
    stage.lead();
    stage.pass(3600).await;
    assert_eq!(stage.sent().len(), 0, "nothing is known of the namespace before it is listed");
    stage.show(&[]);
    stage.pass(20).await;
    let tries = stage.sent().len();
    assert!((4..=10).contains(&tries), "{tries} tries in 20 s");
    stage.answer_with(201);
    stage.pass(6).await;
    assert_eq!(stage.sent().len(), tries + 1);
    assert!(stage.creating.is_finished());
    assert_eq!(stage.events(), [""; 0], "nobody has to do anything about it");
}

#[tokio::test(start_paused = true)]
async fn nobody_but_the_leader_creates_it() {
    let stage = Stage::set();
    stage.show(&[]);
    stage.pass(600).await;
    assert_eq!(stage.sent().len(), 0, "a follower");
    stage.answer_with(503);
    stage.lead_for(3);
    stage.pass(3).await;
    let tries = stage.sent().len();
    assert!(tries > 0);
    stage.pass(600).await;
    assert_eq!(stage.sent().len(), tries, "a leader whose term is over, before it is told so");
    stage.answer_with(201);
    stage.leadership.send_replace(Leadership::Follower);
    stage.lead();
    stage.pass(6).await;
    assert_eq!(stage.sent().len(), tries + 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_somebody_made_meanwhile_is_theirs() {
    let stage = Stage::set();
    stage.answer_with(409);
    stage.lead();
    stage.show(&[]);
    stage.pass(600).await;
    assert_eq!(stage.sent().len(), 1);
    assert!(stage.creating.is_finished());
    assert_eq!(stage.events(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let stage = Stage::set();
    stage.answer_with(0);
    stage.lead();
    stage.show(&[]);
    stage.pass(30).await;
    assert!(stage.sent().len() > 1);
    // It was created all the same.
    stage.show(&["default"]);
    stage.pass(20).await;
    assert!(stage.creating.is_finished());
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_told_once_with_a_remedy_and_tried_again() {
    for (code, remedy) in [(403, "telemetry.secretNames"), (422, "telemetry.config")] {
        let stage = Stage::set();
        stage.answer_with(code);
        stage.lead();
        stage.show(&[]);
        stage.pass(60).await;
        let tries = stage.sent().len();
        assert!((12..=20).contains(&tries), "{tries} tries in a minute");
        let [told] = &stage.events()[..] else { panic!("{:?}", stage.events()) };
        assert!(told.contains(remedy) && told.contains("as the API server says"), "{told}");
        stage.answer_with(201);
        stage.pass(6).await;
        assert!(stage.creating.is_finished());
    }
}
