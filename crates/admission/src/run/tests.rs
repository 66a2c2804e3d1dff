use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Mutex;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use futures::stream;
use http::{Method, StatusCode};
use pharos_instruments::{AdmissionReviewFacts, Subject};
use rustls::pki_types::UnixTime;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::certificate::CaBundle;
use crate::policies::ExceptionNamespaces;
use crate::testing::{Connection, policy};

const NAMESPACE: &str = "pharos";

/// An API server that holds policies, keeps a Secret, and notes what is applied.
#[derive(Clone)]
struct FakeApi {
    policies: Vec<Value>,
    secret: Arc<Mutex<Option<Value>>>,
    applied: mpsc::Sender<(String, Value)>,
}

async fn serve(State(api): State<FakeApi>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let watching = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    let method = request.method().clone();
    let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let list = |kind: &str, items: &[Value]| {
        let metadata = json!({"resourceVersion": "1"});
        Json(json!({"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items}))
    };
    if watching {
        return Body::from_stream(stream::pending::<Result<Bytes, io::Error>>()).into_response();
    }
    match (method, path.rsplit('/').next().unwrap_or_default()) {
        (Method::GET, "api" | "apis") => {
            Json(json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": []})).into_response()
        }
        (Method::GET, "secrets") => list("SecretList", &[]).into_response(),
        (Method::GET, "validatingwebhookconfigurations") => list("X", &[]).into_response(),
        (Method::GET, "configmaps") => list("X", &[]).into_response(),
        // Served in one version, and no other kind of policy.
        (Method::GET, "v1") if path == "/apis/policies.kyverno.io/v1" => Json(json!({
            "kind": "APIResourceList", "groupVersion": "policies.kyverno.io/v1",
            "resources": [{
                "name": "validatingpolicies", "singularName": "", "namespaced": false,
                "kind": "ValidatingPolicy", "verbs": [],
            }],
        }))
        .into_response(),
        (Method::GET, "v1" | "v1beta1" | "v1alpha1") => StatusCode::NOT_FOUND.into_response(),
        (Method::GET, "validatingpolicies") => list("X", &api.policies).into_response(),
        (Method::GET, SECRET_NAME) => match &*api.secret.lock().unwrap() {
            Some(secret) => Json(secret.clone()).into_response(),
            None => {
                let status = json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "none"});
                (StatusCode::NOT_FOUND, Json(status)).into_response()
            }
        },
        (Method::POST, "selfsubjectreviews") => {
            let user = json!({"username": "system:serviceaccount:pharos:pharos"});
            Json(json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "status": {"userInfo": user}})).into_response()
        }
        (Method::POST, "secrets") => {
            *api.secret.lock().unwrap() = Some(body.clone());
            Json(body).into_response()
        }
        (Method::PATCH, _) => {
            api.applied.send((path, body.clone())).await.unwrap();
            Json(body).into_response()
        }
        unexpected => panic!("{unexpected:?}"),
    }
}

struct Unnoted;

impl Facts for Unnoted {
    fn review(&self, _: &Subject, _: &AdmissionReviewFacts<'_>) {}
    fn refusal(&self, _: &'static str) {}
}

fn unnoted(client: Client, options: Options, leadership: watch::Receiver<Leadership>) -> Admission {
    let facts = Arc::new(Unnoted);
    Admission::recording_to(facts, Instruments::default(), client, options, leadership)
}

fn leading() -> Leadership {
    Leadership::Leader { until: tokio::time::Instant::now() + Duration::from_secs(3600) }
}

struct Scene {
    admission: Admission,
    listener: TcpListener,
    address: SocketAddr,
    leading: watch::Sender<Leadership>,
    api: FakeApi,
    applications: mpsc::Receiver<(String, Value)>,
}

/// A webhook that leads, before an API server with one policy.
fn scene() -> Scene {
    let (applied, applications) = mpsc::channel(8);
    let policies = vec![serde_json::to_value(policy("labels", json!({}))).unwrap()];
    let api = FakeApi { policies, secret: Arc::default(), applied };
    let client = Client::new(Router::new().fallback(serve).with_state(api.clone()), "default");
    let listener = server::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options {
        listen: address,
        target: "pharos/webhook:443".parse().unwrap(),
        namespace: NAMESPACE.to_owned(),
        exempt_namespaces: BTreeSet::new(),
        owner: None,
        config_map: "kyverno".to_owned(),
        policy_status: PolicyStatus::Pharos,
        exceptions: ExceptionNamespaces::Every,
        events: EventOptions::default(),
        reporting: Reporting::Nowhere,
        reporter: "test".to_owned(),
        limits: Limits::default(),
        shutdown_delay: Duration::ZERO,
    };
    let (leading, leadership) = watch::channel(leading());
    let admission = unnoted(client, options, leadership);
    Scene { admission, listener, address, leading, api, applications }
}

#[tokio::test]
async fn a_part_that_ends_takes_readiness_with_it_and_is_the_error() {
    let Scene { admission, listener, leading, applications: _applications, .. } = scene();
    let mut readiness = admission.readiness();
    let running = tokio::spawn(admission.run_on(listener, CancellationToken::new()));
    readiness.wait_for(|now| *now == Readiness::Ready).await.unwrap();
    drop(leading);
    readiness.wait_for(|now| *now != Readiness::Ready).await.unwrap();
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "TaskEnded");
}

#[tokio::test]
async fn a_leader_starts_from_nothing_registers_itself_and_ends_in_order() {
    let Scene { admission, listener, address, leading: _leading, api, mut applications } = scene();
    let mut readiness = admission.readiness();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(admission.run_on(listener, shutdown.clone()));

    readiness.wait_for(|now| *now == Readiness::Ready).await.unwrap();
    let mut written = BTreeMap::from([applications.recv().await.unwrap()]);
    written.extend([applications.recv().await.unwrap()]);
    let status = &written["/apis/policies.kyverno.io/v1/validatingpolicies/labels/status"];
    assert_eq!(status["status"]["conditionStatus"]["ready"], true);
    let registered = &written["/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/pharos-validating-pharos"];
    let exempt = &registered["webhooks"][0]["matchConditions"][1]["expression"];
    assert!(exempt.as_str().unwrap().contains("'system:serviceaccount:pharos:pharos'"), "{exempt}");
    let secret = api.secret.lock().unwrap().clone().unwrap();
    let published = &registered["webhooks"][0]["clientConfig"]["caBundle"];
    assert_eq!(published, &secret["data"]["ca.crt"]);

    let published: k8s_openapi::ByteString = serde_json::from_value(published.clone()).unwrap();
    let bundle = CaBundle::parse(&published.0, UnixTime::now()).unwrap();
    let mut caller = Connection::open(address, &bundle).await.unwrap();
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "1", "operation": "CREATE",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "object": {"metadata": {"labels": {}}},
        },
    });
    let (_, answer) = caller.post("/validate/ignore", &review.to_string()).await.unwrap();
    assert!(answer.contains("Policy labels failed: a label app is needed"), "{answer}");

    shutdown.cancel();
    let left = readiness.wait_for(|now| *now != Readiness::Ready).await.unwrap().clone();
    assert!(matches!(left, Readiness::NotReady(_)));
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_port_in_use_ends_it_before_anything_is_asked_of_the_api_server() {
    let taken = server::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let untouched = async || -> StatusCode { panic!("the API server was asked") };
    let client = Client::new(Router::new().fallback(untouched), "default");
    let options = Options {
        listen: taken.local_addr().unwrap(),
        target: "pharos/webhook:443".parse().unwrap(),
        namespace: NAMESPACE.to_owned(),
        exempt_namespaces: BTreeSet::new(),
        owner: None,
        config_map: "kyverno".to_owned(),
        policy_status: PolicyStatus::Pharos,
        exceptions: ExceptionNamespaces::Every,
        events: EventOptions::default(),
        reporting: Reporting::Nowhere,
        reporter: "test".to_owned(),
        limits: Limits::default(),
        shutdown_delay: Duration::ZERO,
    };
    let (_leading, leadership) = watch::channel(leading());
    let admission = unnoted(client, options, leadership);
    let error = admission.run(CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.reason(), "Listen");
}
