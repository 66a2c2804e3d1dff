//! The webhook without its server and without an API server, for benches and for what gates its cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use http::header::CONTENT_TYPE;
use kube::api::DynamicObject;
use kube::core::DeserializeGuard;
use kube::{Api, Client};
use pharos_api::policy::ValidatingPolicy;
use pharos_cluster::view::Observed;
use pharos_instruments::{AdmissionReviewFacts, Instruments, Subject};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::events::Events;
use crate::namespaces::{Known, Namespaces};
use crate::policies::{Kind, Policies};
use crate::record::Facts;
use crate::reports::Reports;
use crate::review::memory::Memory;
use crate::routes::{self, Knowledge, Webhook};
use crate::serving::Serving;

/// What the Pod Security Standards ask of every container, each in a policy of its own.
pub const EXPRESSIONS: [&str; 4] = [
    "object.spec.containers.all(c, !has(c.securityContext) || !has(c.securityContext.privileged) || c.securityContext.privileged == false)",
    "!has(object.spec.hostNetwork) || object.spec.hostNetwork == false",
    "!has(object.spec.volumes) || object.spec.volumes.all(v, !has(v.hostPath))",
    "object.spec.containers.all(c, !has(c.ports) || c.ports.all(p, !has(p.hostPort) || p.hostPort == 0))",
];

/// Answers reviews by policies that never change.
pub struct Reviewer {
    router: Router,
}

/// Nobody is told anything.
struct Untold;

/// A review of a Pod of about 2.4 KB.
pub fn review_of_a_pod() -> Vec<u8> {
    let container = |index: usize| {
        json!({
            "name": format!("container-{index}"),
            "image": format!("registry.example.com/shop/web-{index}:1.27.3"),
            "ports": [{"containerPort": 8080 + index, "protocol": "TCP"}],
            "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "REGION", "value": "eu-1"}],
            "resources": {"limits": {"memory": "128Mi"}, "requests": {"cpu": "100m"}},
            "securityContext": {"privileged": false, "runAsNonRoot": true},
        })
    };
    let containers: Vec<Value> = (0..5).map(container).collect();
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
            "requestResource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "web", "namespace": "shop", "operation": "CREATE", "dryRun": false,
            "userInfo": {"username": "jane", "groups": ["system:authenticated"]},
            "object": {
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
                "spec": {"containers": containers, "volumes": [{"name": "tmp", "emptyDir": {}}]},
            },
            "oldObject": null,
        },
    });
    review.to_string().into_bytes()
}

// === impl Reviewer ===

impl Reviewer {
    /// By these policies, told to these instruments or to nobody. Has to be made within a runtime.
    pub fn new(policies: Vec<ValidatingPolicy>, instruments: Option<Instruments>) -> Self {
        let objects = policies.iter().filter_map(|policy| {
            let object = serde_json::to_value(policy).ok()?;
            let observed: DeserializeGuard<DynamicObject> = serde_json::from_value(object).ok()?;
            Some((policy.metadata.name.clone()?, Observed::from(observed)))
        });
        let objects = BTreeMap::from([(Kind::ValidatingPolicy, Arc::new(objects.collect()))]);
        let policies = Policies::default().succeed(&objects);
        let serving = Serving::settled(Arc::new(policies));
        let (_, serving) = watch::channel(Some(Arc::new(serving)));
        let (_, known) = watch::channel(Known::default());
        let api = Api::all(Client::new(Router::new(), "default"));
        let facts: Arc<dyn Facts> = match instruments {
            Some(instruments) => Arc::new(instruments),
            None => Arc::new(Untold),
        };
        let events = Events::untold(facts.clone());
        let knowledge = Knowledge::of(serving);
        let namespaces = Namespaces::new(api, known);
        let webhook =
            Webhook::new(knowledge, namespaces, facts, events, Reports::Untold, Memory::new(0));
        Self { router: routes::router(&webhook, Router::new()) }
    }

    /// The answer to a review that is sent to the webhook which fails open.
    pub async fn answer(&self, review: Vec<u8>) -> Response {
        let request = Request::post("/validate/ignore").header(CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(review)).expect("the request is well-formed");
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

// === impl Facts ===

impl Facts for Untold {
    fn review(&self, _: &Subject, _: &AdmissionReviewFacts<'_>) {}
    fn refusal(&self, _: &'static str) {}
}
