//! As much of an API server as the leader talks to: one TelemetryConfig with resourceVersions that
//! count, Leases, Events and ControllerRevisions.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Body as Stream;
use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::Value;

use super::*;

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Status,
    Event,
    Revision,
    Lease,
}

/// The API server and, instead of a watch of TelemetryConfigs, what such a watch would show.
pub(super) struct ApiServer {
    state: Mutex<Held>,
    view: watch::Sender<View<TelemetryConfig>>,
    /// Lines of the watch of Leases.
    beats: tokio::sync::broadcast::Sender<String>,
}

struct Held {
    object: TelemetryConfig,
    version: u64,
    /// Whether a watch shows what the object is now.
    delivers: bool,
    refusals: BTreeMap<Kind, u16>,
    silent: Option<Kind>,
    leases: Vec<Value>,
    revisions: Vec<Value>,
    events: Vec<String>,
    /// Every request but reads of Leases, with the code that answered it.
    answered: Vec<(Method, Kind, u16)>,
}

// === impl ApiServer ===

impl ApiServer {
    /// Holds the one object of `objects`, and a Lease per replica.
    pub(super) fn start(
        objects: BTreeMap<Uid, Observed<TelemetryConfig>>,
        replicas: &[(&str, Report)],
    ) -> Arc<Self> {
        let object = objects.into_values().next().unwrap().object.unwrap();
        let held = Held {
            object: (*object).clone(),
            version: 1,
            delivers: true,
            refusals: BTreeMap::new(),
            silent: None,
            leases: replicas.iter().map(|(name, report)| lease(name, report, 1)).collect(),
            revisions: Vec::new(),
            events: Vec::new(),
            answered: Vec::new(),
        };
        let (view, _) = watch::channel(View::default());
        let (beats, _) = tokio::sync::broadcast::channel(16);
        let server = Arc::new(Self { state: Mutex::new(held), view, beats });
        server.state().version = 0;
        server.change(&mut server.state(), |_| {});
        server
    }

    pub(super) fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let answer = move |request: Request<Body>| {
            let server = Arc::clone(&server);
            async move { Ok::<_, Infallible>(server.answer(request.map(Stream::new)).await) }
        };
        Client::new(tower::service_fn(answer), "ns")
    }

    pub(super) fn objects(&self) -> watch::Receiver<View<TelemetryConfig>> {
        self.view.subscribe()
    }

    /// Answers every request of this kind so; `None`: as it should be.
    pub(super) fn refuse(&self, kind: Kind, code: Option<u16>) {
        match code {
            Some(code) => self.state().refusals.insert(kind, code),
            None => self.state().refusals.remove(&kind),
        };
    }

    pub(super) fn never_answer(&self, kind: Kind) {
        self.state().silent = Some(kind);
    }

    /// The spec changes.
    pub(super) fn edit(&self) {
        self.change(&mut self.state(), |object| {
            let generation = object.metadata.generation.unwrap_or_default() + 1;
            object.metadata.generation = Some(generation);
        });
    }

    /// The watch stands still; the spec changes.
    pub(super) fn edit_unseen(&self) {
        self.state().delivers = false;
        self.edit();
    }

    /// The watch goes on.
    pub(super) fn deliver(&self) {
        let mut state = self.state();
        state.delivers = true;
        self.publish(&state);
    }

    /// Every replica renews its Lease, and says the same.
    pub(super) fn renew(&self) {
        let mut state = self.state();
        for index in 0..state.leases.len() {
            state.version += 1;
            state.leases[index]["metadata"]["resourceVersion"] = json!(state.version.to_string());
            let lease = &state.leases[index];
            let _ =
                self.beats.send(json!({"type": "MODIFIED", "object": lease}).to_string() + "\n");
        }
    }

    /// A replica says something else.
    pub(super) fn report(&self, replica: &str, generation: i64, said: State) {
        let config = about("a", generation, said);
        let report = Report { components: [Admission].into(), config };
        let mut state = self.state();
        state.version += 1;
        let lease = lease(replica, &report, state.version);
        state.leases.retain(|other| other["metadata"]["uid"] != lease["metadata"]["uid"]);
        state.leases.push(lease.clone());
        let _ = self.beats.send(json!({"type": "MODIFIED", "object": lease}).to_string() + "\n");
    }

    /// The status that it holds.
    pub(super) fn status(&self) -> Value {
        serde_json::to_value(&self.state().object.status).unwrap()
    }

    /// How many requests of this kind were answered.
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.answers(kind).len()
    }

    /// How requests of this kind were answered, in order.
    pub(super) fn answers(&self, kind: Kind) -> Vec<u16> {
        let state = self.state();
        let codes = state.answered.iter().filter(|(_, of, _)| *of == kind);
        codes.map(|(_, _, code)| *code).collect()
    }

    /// How many requests with this method and of this kind were taken.
    pub(super) fn accepted(&self, method: &str, kind: Kind) -> usize {
        let state = self.state();
        state.answered.iter().filter(|it| it.0 == method && it.1 == kind && it.2 < 300).count()
    }

    /// The reasons of the Events that it took.
    pub(super) fn events(&self) -> Vec<String> {
        self.state().events.clone()
    }

    fn state(&self) -> MutexGuard<'_, Held> {
        self.state.lock().unwrap()
    }

    fn change(&self, state: &mut Held, change: impl FnOnce(&mut TelemetryConfig)) {
        state.version += 1;
        change(&mut state.object);
        state.object.metadata.resource_version = Some(state.version.to_string());
        self.publish(state);
    }

    fn publish(&self, state: &Held) {
        if state.delivers {
            let metadata = state.object.metadata.clone();
            let observed = Observed { metadata, object: Ok(Arc::new(state.object.clone())) };
            let objects = BTreeMap::from([("a".to_owned(), observed)]);
            self.view.send_replace(View { objects: Some(Arc::new(objects)), trouble: None });
        }
    }

    async fn answer(&self, request: Request<Stream>) -> Response<Stream> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let kind = match parts.uri.path() {
            path if path.ends_with("/status") => Kind::Status,
            path if path.contains("/events") => Kind::Event,
            path if path.contains("/controllerrevisions") => Kind::Revision,
            path if path.contains("/leases") => Kind::Lease,
            path => panic!("{path}"),
        };
        let silent = self.state().silent;
        if silent == Some(kind) {
            return std::future::pending().await;
        }
        let query = parts.uri.query().unwrap_or_default();
        if query.contains("watch=true") {
            return Response::new(Stream::from_stream(lines(self.beats.subscribe())));
        }
        let (code, answer) = self.handle(&parts.method, kind, body);
        let answer = Response::builder().status(code).body(Stream::from(answer.to_string()));
        answer.unwrap()
    }

    fn handle(&self, method: &Method, kind: Kind, body: Value) -> (u16, Value) {
        let state = &mut *self.state();
        let (code, answer) = match state.refusals.get(&kind) {
            Some(code) => (*code, refusal(*code)),
            None => match (method, kind) {
                (&Method::PATCH, Kind::Status) => self.write_status(state, &body),
                (&Method::POST, Kind::Event) => {
                    state.events.push(body["reason"].as_str().unwrap().to_owned());
                    (201, body)
                }
                (&Method::GET, Kind::Revision) => (200, list(&state.revisions)),
                (&Method::POST, Kind::Revision) => {
                    state.revisions.push(body.clone());
                    (201, body)
                }
                (&Method::GET, Kind::Lease) => (200, list(&state.leases)),
                odd => panic!("{odd:?}"),
            },
        };
        state.answered.push((method.clone(), kind, code));
        (code, answer)
    }

    fn write_status(&self, state: &mut Held, body: &Value) -> (u16, Value) {
        let held = state.object.metadata.resource_version.as_deref();
        if body["metadata"]["resourceVersion"].as_str() != held {
            return (409, refusal(409));
        }
        let status = serde_json::from_value(body["status"].clone()).unwrap();
        self.change(state, |object| object.status = status);
        (200, serde_json::to_value(&state.object).unwrap())
    }
}

fn lease(replica: &str, report: &Report, version: u64) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {
            "name": heartbeat::lease_name(replica), "uid": replica,
            "resourceVersion": version.to_string(),
            "annotations": {"telemetry.pharos.dev/report": report.encode()},
        },
        "spec": {"holderIdentity": replica},
    })
}

fn list(items: &[Value]) -> Value {
    json!({"metadata": {"resourceVersion": "1"}, "items": items})
}

fn refusal(code: u16) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code, "reason": "x", "message": "no",
    })
}

fn lines(
    beats: tokio::sync::broadcast::Receiver<String>,
) -> impl futures::Stream<Item = Result<String, Infallible>> {
    futures::stream::unfold(beats, async |mut beats| Some((Ok(beats.recv().await.ok()?), beats)))
}
