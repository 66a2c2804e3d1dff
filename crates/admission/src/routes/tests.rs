use std::net::SocketAddr;
use std::sync::Mutex;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use pharos_api::policy::FailurePolicy;
use pharos_instruments::{
    AdmissionReviewFacts, Answer, Instruments, PolicyResult, PolicyRun, RuleFacts, Subject,
};
use serde_json::Value;
use tokio::sync::watch;

use super::*;
use crate::certificate::CaBundle;
use crate::namespaces::Known;
use crate::policies::Policies;
use crate::server::limits::{InFlight, Limits};
use crate::server::{self, Connections, Patience, Server};
use crate::testing::{Connection, material, observed, policy, serving};

mod limits;

/// The facts of a test, as far as it looks at them.
#[derive(Default)]
struct Noted {
    reviews: Mutex<Vec<(String, String, bool)>>,
    policies: Mutex<Vec<(String, PolicyResult)>>,
    refusals: Mutex<Vec<&'static str>>,
}

impl Facts for Noted {
    fn review(&self, subject: &Subject, facts: &AdmissionReviewFacts<'_>) {
        let allowed = facts.answer == Answer::Allowed;
        let noted = (subject.kind().to_owned(), subject.namespace().to_owned(), allowed);
        self.reviews.lock().unwrap().push(noted);
    }

    fn policy(
        &self,
        _: &Subject,
        run: &PolicyRun<'_>,
        rules: &mut dyn Iterator<Item = RuleFacts<'_>>,
    ) {
        let said = rules.map(|rule| (run.policy.name.to_owned(), rule.result));
        self.policies.lock().unwrap().extend(said);
    }

    fn refusal(&self, reason: &'static str) {
        self.refusals.lock().unwrap().push(reason);
    }
}

struct Scene {
    server: Server,
    webhook: Arc<Webhook>,
    client: Connection,
    noted: Arc<Noted>,
    policies: watch::Sender<Option<Arc<Serving>>>,
    /// Where another connection is opened.
    another: (SocketAddr, CaBundle),
}

impl Scene {
    /// A server over TLS with these policies, and an API server that knows one namespace.
    async fn with(policies: Option<Vec<Value>>) -> Self {
        Self::within(policies, Limits::default()).await
    }

    async fn within(policies: Option<Vec<Value>>, limits: Limits) -> Self {
        let policies = policies.map(compiled);
        let (sender, policies) = watch::channel(policies);
        let shop = axum::routing::get(async || {
            axum::Json(
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
            )
        });
        let api = Router::new().route("/api/v1/namespaces/shop", shop);
        let api: Api<Namespace> = Api::all(Client::new(api, "default"));
        let (_, known) = watch::channel(Known::default());
        let noted = Arc::new(Noted::default());
        let namespaces = Namespaces::new(api, known);
        let (events, memory) = (Events::untold(noted.clone()), Memory::new(limits.parsed_bytes));
        let knowledge = Knowledge::of(policies);
        let webhook =
            Webhook::new(knowledge, namespaces, noted.clone(), events, Reports::Untold, memory);
        let material = material();
        let listener = server::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let tls = serving(&material);
        let server = Server::start(
            listener,
            tls,
            server::limited(
                router(&webhook, Router::new()),
                InFlight::new(webhook.clone(), limits),
            ),
            Instruments::default(),
            Patience::DEFAULT,
            Connections::any(),
        )
        .unwrap();
        let client = Connection::open(address, material.bundle()).await.unwrap();
        let another = (address, material.bundle().clone());
        Self { server, webhook, client, noted, policies: sender, another }
    }

    async fn review(&mut self, path: &str, labels: Value) -> Value {
        let (status, body) = self.client.post(path, &review(labels)).await.unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Sends a request that is no review and expects a `Status` with these.
    async fn refused(&mut self, request: &str, code: u16, reason: &str, part: &str) {
        self.client.send(request).await.unwrap();
        let (status, body) = self.client.response().await.unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, code, "{body}");
        assert_eq!((&body["kind"], &body["code"]), (&json!("Status"), &json!(code)));
        assert_eq!(body["reason"], reason);
        assert!(body["message"].as_str().unwrap().contains(part), "{body}");
    }
}

fn webhook(
    serving: watch::Receiver<Option<Arc<Serving>>>,
    namespaces: Namespaces,
    facts: Arc<Noted>,
) -> Arc<Webhook> {
    let events = Events::untold(facts.clone());
    Webhook::new(Knowledge::of(serving), namespaces, facts, events, Reports::Untold, Memory::new(0))
}

fn compiled(specs: Vec<Value>) -> Arc<Serving> {
    let named = specs.into_iter().enumerate();
    let policies = named.map(|(index, spec)| policy(&format!("p{index}"), spec));
    let policies = Policies::default().succeed(&observed(policies));
    Arc::new(Serving::settled(Arc::new(policies)))
}

fn review(labels: Value) -> String {
    let object = json!({"metadata": {"name": "web", "labels": labels}});
    crate::testing::review(json!({"object": object})).to_string()
}

#[tokio::test]
async fn a_review_is_allowed_or_denied_and_recorded_once() {
    let mut scene = Scene::with(Some(vec![json!({})])).await;
    let allowed = scene.review("/validate/ignore", json!({"app": "web"})).await;
    assert_eq!(allowed["response"], json!({"uid": "705ab4f5", "allowed": true}));
    let denied = scene.review("/validate/ignore?timeout=10s", json!({})).await;
    assert_eq!(denied["response"]["allowed"], false);
    assert_eq!(denied["response"]["status"]["message"], "Policy p0 failed: a label app is needed");

    let reviews = scene.noted.reviews.lock().unwrap().clone();
    let pod = |allowed| ("Pod".to_owned(), "shop".to_owned(), allowed);
    assert_eq!(reviews, [pod(true), pod(false)]);
    let policies = scene.noted.policies.lock().unwrap().clone();
    let p0 = |result| ("p0".to_owned(), result);
    assert_eq!(policies, [p0(PolicyResult::Pass), p0(PolicyResult::Fail)]);
    assert!(scene.noted.refusals.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_path_evaluates_only_its_own_policies() {
    let passing = json!({"validations": [{"expression": "true"}]});
    let mut scene = Scene::with(Some(vec![passing, json!({"failurePolicy": "Fail"})])).await;
    let open = scene.review("/validate/ignore", json!({})).await;
    assert_eq!(open["response"]["allowed"], true);
    let evaluated = scene.noted.policies.lock().unwrap().clone();
    assert_eq!(evaluated, [("p0".to_owned(), PolicyResult::Pass)]);
    let closed = scene.review("/validate/fail", json!({})).await;
    assert_eq!(closed["response"]["allowed"], false);
    assert_eq!(scene.noted.reviews.lock().unwrap().len(), 2, "each call is a review");
}

#[tokio::test]
async fn what_is_filtered_passes_unseen_by_policies_and_is_a_review_for_all_that() {
    let mut scene = Scene::with(Some(vec![json!({})])).await;
    let body = review(json!({})).replace("\"shop\"", "\"kube-system\"");
    let (_, answer) = scene.client.post("/validate/ignore", &body).await.unwrap();
    assert!(answer.contains("\"allowed\":true"), "{answer}");
    let reviews = scene.noted.reviews.lock().unwrap().clone();
    assert_eq!(reviews, [("Pod".to_owned(), "kube-system".to_owned(), true)]);
    assert!(scene.noted.policies.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_no_review_is_refused_clearly_and_harms_nothing() {
    let mut scene = Scene::with(Some(vec![json!({})])).await;
    let post = |path: &str, media_type: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: {media_type}\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
    };
    let json_post = |body: &str| post("/validate/ignore", "application/json; charset=utf-8", body);
    let without_kind = review(json!({})).replace("\"Pod\"", "1");
    let cases = [
        (json_post("{"), 400, "BadRequest", "not JSON"),
        (json_post("{}"), 400, "BadRequest", "admission.k8s.io/v1"),
        (
            json_post(&without_kind),
            400,
            "BadRequest",
            "AdmissionReview 705ab4f5: request.kind.kind",
        ),
        (
            post("/validate/ignore", "text/plain", "{}"),
            415,
            "UnsupportedMediaType",
            "application/json",
        ),
        (post("/validate", "application/json", "{}"), 404, "NotFound", "/validate/ignore"),
        (
            "GET /validate/fail HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
            405,
            "MethodNotAllowed",
            "POST",
        ),
    ];
    for (request, code, reason, part) in &cases {
        scene.refused(request, *code, reason, part).await;
    }
    let reasons: Vec<_> = cases.iter().map(|(_, _, reason, _)| *reason).collect();
    assert_eq!(*scene.noted.refusals.lock().unwrap(), reasons, "each is counted");
    let allowed = scene.review("/validate/ignore", json!({"app": "web"})).await;
    assert_eq!(allowed["response"]["allowed"], true);
    assert_eq!(scene.noted.reviews.lock().unwrap().len(), 1, "only the answered one is a review");
}

#[tokio::test]
async fn a_policy_that_asks_about_the_namespace_gets_it_even_if_the_watch_lags() {
    let asking = |name: &str| {
        let expression = format!("namespaceObject.metadata.name == '{name}'");
        json!({"validations": [{"expression": expression}]})
    };
    let mut scene = Scene::with(Some(vec![asking("shop")])).await;
    let allowed = scene.review("/validate/ignore", json!({})).await;
    assert_eq!(allowed["response"]["allowed"], true);
    scene.policies.send_replace(Some(compiled(vec![asking("else")])));
    let denied = scene.review("/validate/ignore", json!({})).await;
    assert_eq!(denied["response"]["allowed"], false, "a new snapshot is used at once");
}

#[tokio::test]
async fn a_namespace_itself_is_not_looked_up() {
    let asked = axum::routing::any(async || -> StatusCode { panic!("the API server was asked") });
    let api: Api<Namespace> =
        Api::all(Client::new(Router::new().fallback_service(asked), "default"));
    let (_, known) = watch::channel(Known::default());
    let (_, unused) = watch::channel(None);
    let namespaces = Namespaces::new(api, known);
    let webhook = webhook(unused, namespaces, Arc::new(Noted::default()));
    let policies = compiled(vec![json!({
        "matchConstraints": {
            "resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"],
                "resources": ["namespaces"], "operations": ["CREATE"],
            }],
            "namespaceSelector": {"matchLabels": {"team": "a"}},
        },
    })]);
    let creation = json!({
        "uid": "1", "operation": "CREATE", "name": "shop", "namespace": "shop",
        "kind": {"group": "", "version": "v1", "kind": "Namespace"},
        "resource": {"group": "", "version": "v1", "resource": "namespaces"},
        "object": {"metadata": {"name": "shop"}},
    });
    let policies = policies.called(&Endpoint::shared(FailurePolicy::Ignore));
    let creation = creation.into();
    let request = Request::parse(&creation).unwrap();
    assert!(policies.needs_namespace(request.resource));
    assert_eq!(webhook.namespace(&policies, &request).await, None);
}

#[tokio::test]
async fn a_review_waits_for_the_first_list_of_policies() {
    let mut scene = Scene::with(None).await;
    let (policies, mut seen) = (scene.policies.clone(), scene.policies.subscribe());
    let reviewing = scene.review("/validate/ignore", json!({}));
    let listing = async move {
        policies.send_replace(Some(compiled(vec![json!({})])));
        seen.changed().await.unwrap();
    };
    let (review, ()) = tokio::join!(reviewing, listing);
    assert_eq!(review["response"]["allowed"], false);
}

#[tokio::test(start_paused = true)]
async fn without_policies_a_review_is_refused_rather_than_allowed() {
    let (_sender, policies) = watch::channel(None);
    let api: Api<Namespace> = Api::all(Client::new(Router::new(), "default"));
    let (_, known) = watch::channel(Known::default());
    let namespaces = Namespaces::new(api, known);
    let webhook = webhook(policies, namespaces, Arc::new(Noted::default()));
    let Err(refusal) = webhook.serving().await else { panic!("there are no policies") };
    assert!(matches!(refusal, Refusal::NoPolicies), "{refusal}");
}
