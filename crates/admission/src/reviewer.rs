//! The webhook without its server and without an API server, for benches.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use http::header::CONTENT_TYPE;
use kube::{Api, Client};
use pharos_api::policy::ValidatingPolicy;
use pharos_cluster::view::Observed;
use pharos_instruments::{AdmissionReviewFacts, Instruments, Subject, ValidatingPolicyFacts};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::namespaces::{Known, Namespaces};
use crate::policies::Policies;
use crate::record::Facts;
use crate::routes::{self, Webhook};

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
        let observed: BTreeMap<_, _> = policies
            .into_iter()
            .map(|policy| {
                let metadata = policy.metadata.clone();
                let uid = metadata.name.clone().unwrap_or_default();
                (uid, Observed { metadata, object: Ok(Arc::new(policy)) })
            })
            .collect();
        let policies = Policies::default().succeed(&observed);
        let (_, policies) = watch::channel(Some(Arc::new(policies)));
        let (_, known) = watch::channel(Known::default());
        let api = Api::all(Client::new(Router::new(), "default"));
        let facts: Arc<dyn Facts> = match instruments {
            Some(instruments) => Arc::new(instruments),
            None => Arc::new(Untold),
        };
        let webhook = Webhook::new(policies, Namespaces::new(api, known), facts);
        Self { router: routes::router(&webhook) }
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
    fn policy(&self, _: &Subject, _: &ValidatingPolicyFacts<'_>) {}
    fn review(&self, _: &Subject, _: &AdmissionReviewFacts<'_>) {}
    fn refusal(&self, _: &'static str) {}
}
