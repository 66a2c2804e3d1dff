//! The paths of the webhooks: one AdmissionReview in, one answer out.
//!
//! [`Webhook::answer`] reads as the design's second flow. What cannot be answered is refused with a
//! `metav1.Status`, which API servers repeat to whoever made the request; refusals are counted here
//! and nowhere else, so that `kyverno_admission_requests` counts exactly the reviews answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use pharos_policy::{Json, PolicySet, Request, SystemClock};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::configuration::{self, Configuration};
use crate::enforce::enforce;
use crate::events::{self, Events};
use crate::namespaces::Namespaces;
use crate::record::{Facts, record};
use crate::reports::Reports;
use crate::review::memory::{Memory, Share, Shortage};
use crate::review::{self, Malformed, Unparsed};
use crate::roles::{self, Roles};
use crate::serving::Serving;
use crate::webhook::Endpoint;

/// The longest body. API servers take requests of up to 3 MiB; as JSON, with bytes as base64, that
/// makes 4 MiB for the new object, and 2 MiB for an old one of the 1.5 MiB that etcd stores. The
/// rest is for the envelope and for escaped characters.
pub(crate) const BODY_LIMIT: usize = 8 * 1024 * 1024;
/// How much of a longer one is read, and dropped: a client that is answered while it still writes
/// sees a broken connection and not the answer.
const READ_LIMIT: usize = 4 * BODY_LIMIT;
/// How long a body may take to arrive: after that the API server has given up by itself.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a review waits for the first list of policies after a start. Without it a registered
/// process that restarts would answer before it knows what to answer.
const POLICIES_TIMEOUT: Duration = Duration::from_secs(5);

/// What all paths share.
pub(crate) struct Webhook {
    knowledge: Knowledge,
    namespaces: Namespaces,
    facts: Arc<dyn Facts>,
    events: Events,
    reports: Reports,
    memory: Arc<Memory>,
    /// Requests that got no review's answer, for the log.
    refused: AtomicU64,
}

/// What a review is judged by, as it is kept by others.
#[derive(Clone)]
pub(crate) struct Knowledge {
    pub(crate) serving: watch::Receiver<Option<Arc<Serving>>>,
    pub(crate) configuration: watch::Receiver<configuration::Known>,
    pub(crate) roles: watch::Receiver<roles::Known>,
}

/// Why a request gets no review's answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is nothing here; the paths begin with /validate/ignore and /validate/fail")]
    Path,
    #[error("AdmissionReviews are sent by POST")]
    Method,
    #[error("AdmissionReviews are sent as application/json")]
    MediaType,
    #[error("the body is longer than {BODY_LIMIT} bytes")]
    TooLong,
    #[error("the body did not arrive within {BODY_TIMEOUT:?}")]
    TooSlow,
    #[error("the body did not arrive whole")]
    Interrupted,
    #[error("too much is being answered already")]
    TooMany,
    #[error("there are too many connections")]
    TooManyConnections,
    #[error("the policies are not known yet")]
    NoPolicies,
    #[error(transparent)]
    Memory(#[from] Shortage),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// The routes of all webhooks for resources, and `others`.
pub(crate) fn router(webhook: &Arc<Webhook>, others: Router) -> Router {
    let reviews = Router::new().route("/validate/{*called}", post(validate));
    let router = others.merge(reviews.with_state(webhook.clone()));
    let refusing = |refusal: fn() -> Refusal| {
        let webhook = webhook.clone();
        move || async move { webhook.refuse(&refusal()) }
    };
    router
        .fallback(refusing(|| Refusal::Path))
        .method_not_allowed_fallback(refusing(|| Refusal::Method))
}

async fn validate(State(webhook): State<Arc<Webhook>>, request: HttpRequest) -> Response {
    let Some(endpoint) = Endpoint::parse(request.uri().path()) else {
        return webhook.refuse(&Refusal::Path);
    };
    let answered = webhook.answer(&endpoint, request).await;
    answered.unwrap_or_else(|refusal| webhook.refuse(&refusal))
}

pub(crate) async fn body(request: HttpRequest) -> Result<Vec<u8>, Refusal> {
    if !is_json(request.headers()) {
        return Err(Refusal::MediaType);
    }
    let announced = announced_length(request.headers());
    let whole = read(request.into_body(), announced.unwrap_or_default());
    let read = timeout(BODY_TIMEOUT, whole).await;
    read.unwrap_or(Err(Refusal::TooSlow))
}

/// Reads a body to its end, keeping it if it is not too long.
async fn read(body: Body, announced: usize) -> Result<Vec<u8>, Refusal> {
    let mut whole = Vec::with_capacity(announced.min(BODY_LIMIT));
    let mut length = 0_usize;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::Interrupted)?;
        length = length.saturating_add(chunk.len());
        if length <= BODY_LIMIT {
            whole.extend_from_slice(&chunk);
        } else if length > READ_LIMIT {
            break;
        }
    }
    if length <= BODY_LIMIT { Ok(whole) } else { Err(Refusal::TooLong) }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|media_type| media_type.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

// === impl Knowledge ===

#[cfg(any(test, feature = "testing"))]
impl Knowledge {
    /// Nothing but policies, which are judged as without a ConfigMap.
    pub(crate) fn of(serving: watch::Receiver<Option<Arc<Serving>>>) -> Self {
        let (_, configuration) = watch::channel(Some(Arc::default()));
        let (_, roles) = watch::channel(Some(Arc::default()));
        Self { serving, configuration, roles }
    }
}

// === impl Webhook ===

impl Webhook {
    pub(crate) fn new(
        knowledge: Knowledge,
        namespaces: Namespaces,
        facts: Arc<dyn Facts>,
        events: Events,
        reports: Reports,
        memory: Arc<Memory>,
    ) -> Arc<Self> {
        let refused = AtomicU64::new(0);
        Arc::new(Self { knowledge, namespaces, facts, events, reports, memory, refused })
    }

    /// The memory for one body.
    pub(crate) fn share(&self) -> Share {
        self.memory.share()
    }

    async fn answer(&self, endpoint: &Endpoint, http: HttpRequest) -> Result<Response, Refusal> {
        let started = Instant::now();
        let body = body(http).await?;
        let mut share = self.share();
        let document = review::parse(&body, &mut share)?;
        let request = review::request(&document)?;
        let subject = self.facts.begin(&request);
        let snapshot = subject.within(self.serving()).await?;
        let request = snapshot.of_the_whole(request);
        let configuration = subject.within(self.configuration()).await;
        let called = snapshot.called(endpoint);
        let asked = configuration.needs_roles() || called.needs_roles(request.resource);
        let roles = if asked { subject.within(self.roles(&request)).await } else { None };
        let nobody = Roles::default();
        let filtered = configuration.filters(&request, roles.as_ref().unwrap_or(&nobody));
        let policies = if filtered { PolicySet::default() } else { called };
        let namespace = subject.within(self.namespace(&policies, &request)).await;
        let user_roles = roles.as_ref().map(Roles::borrowed);
        let request = Request { namespace_object: namespace.as_deref(), user_roles, ..request };

        let evaluation = pharos_policy::evaluate(&policies, &request, &SystemClock);
        let verdict = enforce(&evaluation, &request);
        let answer = axum::Json(review::answer(&request, &verdict)).into_response();
        let (success, known) = (&configuration.success_events, snapshot.policies());
        events::told(&self.events, success, known, &request, &evaluation, &verdict);
        self.reports.tell(known, &request, &evaluation, &verdict);
        record(&*self.facts, &subject, &evaluation, &verdict, started.elapsed());
        Ok(answer)
    }

    /// One snapshot for the whole request.
    async fn serving(&self) -> Result<Arc<Serving>, Refusal> {
        known(&self.knowledge.serving).await.ok_or(Refusal::NoPolicies)
    }

    /// What is not to be judged.
    async fn configuration(&self) -> Arc<Configuration> {
        known(&self.knowledge.configuration).await.unwrap_or_default()
    }

    /// The roles of whoever makes the request.
    async fn roles(&self, request: &Request<'_>) -> Option<Roles> {
        known(&self.knowledge.roles).await.map(|bindings| bindings.of(request))
    }

    /// The request's namespace, if a policy asks about it.
    async fn namespace(
        &self,
        policies: &PolicySet,
        request: &Request<'_>,
    ) -> Option<Arc<Json<'static>>> {
        let name = request.namespace?;
        // A Namespace itself brings its labels, and is in no namespace.
        let is_itself = request.is_namespace() && request.sub_resource.is_none();
        if is_itself || !policies.needs_namespace(request.resource) {
            return None;
        }
        self.namespaces.find(name).await
    }

    pub(crate) fn refuse(&self, refusal: &Refusal) -> Response {
        self.count(refusal);
        let status = refusal.status();
        let body = json!({
            "apiVersion": "v1",
            "kind": "Status",
            "metadata": {},
            "status": "Failure",
            "code": status.as_u16(),
            "reason": refusal.reason(),
            "message": refusal.to_string(),
        });
        (status, axum::Json(body)).into_response()
    }

    /// Counts what got no review's answer, or was not even asked.
    pub(crate) fn count(&self, refusal: &Refusal) {
        self.facts.refusal(refusal.reason());
        let total = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        // Seen in the log, and still no way to fill it.
        if total.is_power_of_two() {
            tracing::warn!(reason = refusal.reason(), %refusal, total, "refused a request");
        } else {
            tracing::debug!(reason = refusal.reason(), %refusal, total, "refused a request");
        }
    }
}

/// What is published, once it is.
async fn known<T>(published: &watch::Receiver<Option<Arc<T>>>) -> Option<Arc<T>> {
    if let Some(now) = &*published.borrow() {
        return Some(now.clone());
    }
    let mut published = published.clone();
    let known = timeout(POLICIES_TIMEOUT, published.wait_for(Option::is_some)).await;
    known.ok().and_then(Result::ok).and_then(|known| known.clone())
}

// === impl Refusal ===

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLong | Self::Memory(Shortage::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            // Without a Retry-After: an API server that is told to come back waits, and its client with
            // it; as it is, it goes by the failure policy at once.
            Self::TooMany | Self::TooManyConnections | Self::Memory(Shortage::Taken) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::NoPolicies => StatusCode::SERVICE_UNAVAILABLE,
            Self::Interrupted | Self::Malformed(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// Kubernetes' own words for the status codes.
    fn reason(&self) -> &'static str {
        match self {
            Self::Path => "NotFound",
            Self::Method => "MethodNotAllowed",
            Self::MediaType => "UnsupportedMediaType",
            Self::TooLong | Self::Memory(Shortage::TooLarge) => "RequestEntityTooLarge",
            Self::TooSlow => "Timeout",
            Self::TooMany | Self::Memory(Shortage::Taken) => "TooManyRequests",
            Self::TooManyConnections => "TooManyConnections",
            Self::NoPolicies => "ServiceUnavailable",
            Self::Interrupted | Self::Malformed(_) => "BadRequest",
        }
    }
}

impl From<Unparsed> for Refusal {
    fn from(unparsed: Unparsed) -> Self {
        match unparsed {
            Unparsed::Malformed(malformed) => Self::Malformed(malformed),
            Unparsed::Memory(shortage) => Self::Memory(shortage),
        }
    }
}

#[cfg(test)]
mod cost;
#[cfg(test)]
mod tests;
