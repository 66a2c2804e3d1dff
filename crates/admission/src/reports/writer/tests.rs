use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request as HttpRequest;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::super::tests::{Losses, admission, created};
use super::*;
use crate::reports::{Awaited, QUEUED};

const OBJECT: &str = "/api/v1/namespaces/shop/pods/web";
const REPORTS: &str = "/apis/wgpolicyk8s.io/v1alpha2/namespaces/shop/policyreports";

/// An API server that holds what it is told to, and refuses what it is told to refuse.
#[derive(Default)]
struct Held {
    objects: BTreeMap<String, Value>,
    /// By method: answers that come first.
    refusals: Vec<(Method, u16, Value)>,
    asked: Vec<String>,
    version: u64,
}

struct Scene {
    held: Arc<Mutex<Held>>,
    losses: Arc<Losses>,
    queue: mpsc::Sender<Admission>,
    ending: CancellationToken,
    writer: JoinHandle<()>,
}

fn report() -> String {
    format!("{REPORTS}/u")
}

fn answer(held: &Mutex<Held>, method: &Method, path: &str, body: Value) -> Response {
    let held = &mut *held.lock().unwrap();
    held.asked.push(format!("{method} {path}"));
    let refused = |code: u16, details: &Value| {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "no", "reason": "no", "code": code, "details": details});
        (StatusCode::from_u16(code).unwrap(), axum::Json(status)).into_response()
    };
    if let Some(at) = held.refusals.iter().position(|(of, ..)| of == method) {
        let (_, code, details) = held.refusals.remove(at);
        return refused(code, &details);
    }
    held.version += 1;
    let version = held.version.to_string();
    let key = match *method {
        Method::POST => format!("{path}/{}", body["metadata"]["name"].as_str().unwrap()),
        _ => path.to_owned(),
    };
    let there = held.objects.get(&key).cloned();
    match (method.as_str(), there) {
        ("GET", Some(there)) => axum::Json(there).into_response(),
        ("POST", Some(_)) => refused(409, &json!({})),
        ("PUT", Some(there))
            if there["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] =>
        {
            refused(409, &json!({}))
        }
        ("POST", None) | ("PUT", Some(_)) => {
            let mut body = body;
            body["metadata"]["resourceVersion"] = json!(version);
            held.objects.insert(key, body.clone());
            axum::Json(body).into_response()
        }
        ("DELETE", Some(there)) => {
            held.objects.remove(&key);
            axum::Json(there).into_response()
        }
        _ => refused(404, &json!({})),
    }
}

// === impl Scene ===

impl Scene {
    fn begin() -> Self {
        let (held, losses) = (Arc::<Mutex<Held>>::default(), Arc::<Losses>::default());
        let server = held.clone();
        let respond = move |request: HttpRequest| {
            let server = server.clone();
            async move {
                let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                answer(&server, &method, &path, body)
            }
        };
        let client = Client::new(Router::new().fallback(respond), "default");
        let (queue, queued) = mpsc::channel(QUEUED);
        let writer = Writer::new(client, ReportApi::PolicyReports, queued, losses.clone());
        let ending = CancellationToken::new();
        let writer = tokio::spawn(writer.run(ending.clone()));
        Self { held, losses, queue, ending, writer }
    }

    /// With the object that is admitted.
    fn with_object() -> Self {
        let scene = Self::begin();
        scene.store("u", "1");
        scene
    }

    fn store(&self, uid: &str, version: &str) {
        let object = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "web", "namespace": "shop", "uid": uid, "resourceVersion": version}});
        self.held.lock().unwrap().objects.insert(OBJECT.to_owned(), object);
    }

    fn refuse(&self, method: Method, code: u16, details: Value) {
        self.held.lock().unwrap().refusals.push((method, code, details));
    }

    async fn admit(&self, policy: &str, awaited: Awaited) {
        self.queue.send(admission(policy, "web", awaited)).await.unwrap();
    }

    /// Lets everything happen that is to happen within a minute.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }

    /// The policies whose results are reported.
    fn reported(&self) -> Vec<String> {
        let held = self.held.lock().unwrap();
        let results = held.objects.get(&report()).map(|report| report["results"].clone());
        let results = results.unwrap_or_default();
        let results = results.as_array().into_iter().flatten();
        results.map(|it| it["policy"].as_str().unwrap().to_owned()).collect()
    }

    fn count(&self, method: &str) -> usize {
        let held = self.held.lock().unwrap();
        held.asked.iter().filter(|it| it.starts_with(method)).count()
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.held.lock().unwrap().asked)
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_is_made_and_written_again_only_where_it_differs() {
    let scene = Scene::with_object();
    scene.admit("a", created("u")).await;
    scene.settle().await;
    assert_eq!(scene.reported(), ["a"]);
    let (get, post) = (format!("GET {}", report()), format!("POST {REPORTS}"));
    assert_eq!(scene.asked(), [format!("GET {OBJECT}"), get.clone(), post]);
    scene.admit("a", created("u")).await;
    scene.settle().await;
    assert_eq!(scene.asked(), [format!("GET {OBJECT}"), get.clone()]);
    scene.admit("b", created("u")).await;
    scene.settle().await;
    assert_eq!(scene.reported(), ["a", "b"]);
    assert_eq!(scene.asked(), [format!("GET {OBJECT}"), get, format!("PUT {}", report())]);
    assert_eq!(scene.losses.all(), []);
}

#[tokio::test(start_paused = true)]
async fn several_webhooks_about_one_object_make_one_write() {
    let scene = Scene::with_object();
    for policy in ["a", "b", "c"] {
        scene.admit(policy, created("u")).await;
    }
    scene.settle().await;
    assert_eq!(scene.reported(), ["a", "b", "c"]);
    assert_eq!(scene.asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_not_there_yet_is_waited_for_and_given_up_if_it_never_comes() {
    let scene = Scene::begin();
    scene.admit("a", created("u")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(scene.reported().is_empty());
    scene.store("u", "1");
    scene.settle().await;
    assert_eq!(scene.reported(), ["a"]);
    let denied = Scene::begin();
    denied.admit("a", created("u")).await;
    denied.settle().await;
    assert_eq!(denied.losses.all(), [("NotStored", 1)]);
    assert_eq!(denied.asked().len(), usize::try_from(TRIES).unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_update_that_somebody_else_refused_leaves_nothing_and_one_that_is_stored_does() {
    let scene = Scene::with_object();
    let (uid, version) = ("u".to_owned(), "1".to_owned());
    let update = Awaited::Updated { uid, version };
    scene.admit("a", update.clone()).await;
    scene.settle().await;
    assert!(scene.reported().is_empty() && scene.losses.all().is_empty());
    scene.store("u", "2");
    scene.admit("a", update).await;
    scene.settle().await;
    assert_eq!(scene.reported(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_another_by_now_is_not_told_of() {
    let scene = Scene::with_object();
    scene.admit("a", created("earlier")).await;
    scene.settle().await;
    assert_eq!(scene.asked(), [format!("GET {OBJECT}")]);
    assert_eq!(scene.losses.all(), []);
}

#[tokio::test(start_paused = true)]
async fn who_writes_at_the_same_time_wins_and_is_written_over_in_its_version() {
    let scene = Scene::with_object();
    scene.admit("a", created("u")).await;
    scene.settle().await;
    scene.refuse(Method::PUT, 409, json!({}));
    scene.asked();
    scene.admit("b", created("u")).await;
    scene.settle().await;
    assert_eq!(scene.reported(), ["a", "b"]);
    assert_eq!(scene.asked().len(), 5, "it is read again");
    for _ in 0..3 * CONFLICTS {
        scene.refuse(Method::PUT, 409, json!({}));
    }
    scene.admit("c", created("u")).await;
    scene.settle().await;
    assert_eq!(scene.reported(), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_has_too_much_to_do_is_waited_for() {
    let scene = Scene::with_object();
    scene.refuse(Method::GET, 429, json!({"retryAfterSeconds": 20}));
    scene.refuse(Method::POST, 503, json!({}));
    scene.admit("a", created("u")).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(scene.asked().len(), 1, "as long as it says");
    scene.settle().await;
    assert_eq!(scene.reported(), ["a"]);
    assert_eq!(scene.losses.all(), []);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_allowed_is_lost_and_keeps_nobody_else_waiting() {
    let scene = Scene::with_object();
    scene.refuse(Method::GET, 403, json!({}));
    scene.admit("a", created("u")).await;
    scene.settle().await;
    assert_eq!(scene.losses.all(), [("Forbidden", 1)]);
    let began = Instant::now();
    scene.refuse(Method::POST, 403, json!({"causes": [{"reason": "NamespaceTerminating"}]}));
    scene.admit("a", created("u")).await;
    while scene.count("POST") == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(began.elapsed() < Duration::from_secs(1));
    }
    scene.settle().await;
    assert_eq!(scene.losses.all().len(), 1, "it goes with its namespace");
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_the_end_is_written_and_what_cannot_be_is_counted() {
    let scene = Scene::with_object();
    scene.admit("a", created("u")).await;
    scene.ending.cancel();
    scene.writer.await.unwrap();
    let is_written = scene.held.lock().unwrap().objects.contains_key(&report());
    assert!(is_written && scene.losses.all().is_empty());
    let Scene { queue, ending, writer, .. } = Scene::with_object();
    drop(queue);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!writer.is_finished(), "it was not told to end");
    ending.cancel();
    writer.await.unwrap();

    let scene = Scene::begin();
    scene.admit("a", created("u")).await;
    scene.admit("b", created("u")).await;
    scene.ending.cancel();
    let began = Instant::now();
    scene.writer.await.unwrap();
    assert!(began.elapsed() <= LAST);
    assert_eq!(scene.losses.all(), [("Shutdown", 2)]);
}
