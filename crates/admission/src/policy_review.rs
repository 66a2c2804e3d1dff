//! The webhook that looks at policies before they are stored, so that who writes one is told at once
//! what is wrong with it.
//!
//! Nothing is refused: what cannot be compiled, and what this version does not do, is stored with a
//! warning, and its status says the same to whoever comes later. [`judge`] is the decision, pure.
//!
//! It is registered so that it fails open, for creations and updates only: a policy that was stored
//! while nobody looked shows its problems in its status, and nothing here is in the way of deleting
//! one. Compiling has threads of its own and a bound; what does not get its turn passes with a
//! warning.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use kube::api::DynamicObject;
use pharos_instruments::PolicyKind;
use pharos_policy::{Evaluation, Json, Request};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::enforce::{Verdict, bounded};
use crate::policies::{Defect, ExceptionNamespaces, Kind, Outcome};
use crate::policy_status::PolicyStatus;
use crate::record::{Facts, record};
use crate::review;
use crate::review::memory::Share;
use crate::routes::{self, Refusal, Webhook};

/// Where it is called.
pub(crate) const PATH: &str = "/validate/policies";
/// How many policies are compiled at a time, beside those that are in force.
const AT_ONCE: usize = 2;
/// How many times the memory of the document it takes to decode it, which makes serde_json's values.
const COPIES: usize = 30;
/// How long one waits for its turn and for its end; the API server gives up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is to be stored, for the thread that compiles it.
struct Document {
    json: Json<'static>,
    /// Taken for it, and for what is made of it.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is given back when it is dropped"))]
    taken: Share,
}

/// Looks at policies.
pub(crate) struct PolicyWebhook {
    webhook: Arc<Webhook>,
    facts: Arc<dyn Facts>,
    whose: PolicyStatus,
    exceptions: ExceptionNamespaces,
    turns: Arc<Semaphore>,
}

/// The route of the webhook.
pub(crate) fn router(
    webhook: Arc<Webhook>,
    facts: Arc<dyn Facts>,
    whose: PolicyStatus,
    exceptions: ExceptionNamespaces,
) -> Router {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let state = Arc::new(PolicyWebhook { webhook, facts, whose, exceptions, turns });
    Router::new().route(PATH, post(look).with_state(state))
}

async fn look(State(state): State<Arc<PolicyWebhook>>, request: HttpRequest) -> Response {
    let answered = state.answer(request).await;
    answered.unwrap_or_else(|refusal| state.webhook.refuse(&refusal))
}

// === impl Document ===

impl Document {
    fn parse(body: &[u8], mut share: Share) -> Result<Self, Refusal> {
        let json = review::parse(body, &mut share)?;
        share.take(body.len() + share.taken().saturating_mul(COPIES))?;
        Ok(Self { json: json.into_owned(), taken: share })
    }
}

// === impl PolicyWebhook ===

impl PolicyWebhook {
    async fn answer(&self, http: HttpRequest) -> Result<Response, Refusal> {
        let started = Instant::now();
        let body = routes::body(http).await?;
        let document = Arc::new(Document::parse(&body, self.webhook.share())?);
        drop(body);
        let request = review::request(&document.json)?;
        if let Some((version, kind)) = deprecated(&request) {
            self.facts.deprecated(version, kind);
        }
        let subject = self.facts.begin(&request);
        let verdict = subject.within(self.verdict(document.clone())).await;
        let answer = axum::Json(review::answer(&request, &verdict)).into_response();
        let nothing = Evaluation::default();
        record(&*self.facts, &subject, &nothing, &verdict, started.elapsed());
        Ok(answer)
    }

    async fn verdict(&self, document: Arc<Document>) -> Verdict {
        let (whose, exceptions) = (self.whose, self.exceptions.clone());
        let turns = self.turns.clone();
        let judged = async move {
            let turn = turns.acquire_owned().await.ok()?;
            let judging = tokio::task::spawn_blocking(move || {
                // Held by the thread, which goes on when nobody waits any more.
                let _turn = turn;
                Some(judge(&review::request(&document.json).ok()?, whose, &exceptions))
            });
            judging.await.ok()?
        };
        match timeout(PATIENCE, judged).await {
            Ok(Some(verdict)) => verdict,
            Ok(None) | Err(_) => {
                passed(vec!["Pharos did not get to compiling it; see its status".to_owned()])
            }
        }
    }
}

/// What is to be stored, if it is of a kind that Kyverno gives up. A name that somebody made up is
/// none of its versions.
fn deprecated(request: &Request<'_>) -> Option<(&'static str, PolicyKind)> {
    let kind = match (request.kind.group, request.kind.kind) {
        ("kyverno.io", "ClusterPolicy") => PolicyKind::ClusterPolicy,
        ("kyverno.io", "Policy") => PolicyKind::Policy,
        _ => return None,
    };
    let version = ["v1", "v2beta1"].into_iter().find(|it| *it == request.kind.version)?;
    Some((version, kind))
}

/// What is said about an object that is to be stored.
fn judge(request: &Request<'_>, whose: PolicyStatus, exceptions: &ExceptionNamespaces) -> Verdict {
    let kind = Kind::all().find(|kind| {
        let custom = kind.custom();
        (custom.group, custom.kind) == (request.kind.group, request.kind.kind)
    });
    let outcome = kind.and_then(|kind| outcome(kind, request.object, exceptions));
    let Some(Outcome::Broken(defect)) = outcome else {
        return passed(Vec::new());
    };
    match &defect {
        // Kyverno evaluates them, or another engine; that this one does not is in their status.
        Defect::Unsupported(_) if whose == PolicyStatus::Kyverno => passed(Vec::new()),
        _ => passed(vec![defect.to_string()]),
    }
}

fn outcome(kind: Kind, object: &Json<'_>, exceptions: &ExceptionNamespaces) -> Option<Outcome> {
    let object = serde_json::to_value(object).ok()?;
    let mut object: DynamicObject = serde_json::from_value(object).ok()?;
    // One whose name is to be generated is named after what it will begin with.
    let generated = object.metadata.generate_name.clone();
    object.metadata.name = object.metadata.name.or(generated);
    Some(Outcome::of(kind, &object, exceptions))
}

fn passed(warnings: Vec<String>) -> Verdict {
    Verdict { warnings: bounded(warnings), ..Verdict::default() }
}

#[cfg(test)]
mod tests;
