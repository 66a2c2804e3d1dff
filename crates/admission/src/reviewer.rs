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
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::events::Events;
use crate::namespaces::{Known, Namespaces};
use crate::policies::{Kind, Policies};
use crate::record::Facts;
use crate::routes::{self, Knowledge, Webhook};
use crate::serving::Serving;

/// Answers reviews by policies that never change.
pub struct Reviewer {
    router: Router,
}

/// Nobody is told anything.
struct Untold;

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
        let webhook = Webhook::new(knowledge, Namespaces::new(api, known), facts, events);
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
