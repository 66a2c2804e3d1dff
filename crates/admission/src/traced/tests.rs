#![expect(clippy::disallowed_methods, reason = "spans are kept here instead of being sent")]

use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use pharos_instruments::{Instruments, Spans};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::events::Events;
use crate::namespaces::{Known, Namespaces};
use crate::policies::Policies;
use crate::record::Facts;
use crate::reports::Reports;
use crate::review::memory::Memory;
use crate::routes::{self, Knowledge, Webhook};
use crate::server::{self, Connections, Patience, Server};
use crate::serving::Serving;
use crate::testing::{Connection, material, observed, policy, serving};

/// Spans that have ended, in the order in which they did.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// A server with two policies, of which one asks for the namespace, and what it tells.
async fn scene() -> (Server, Connection, Kept) {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
    let spans = Spans::of_tracer(provider.tracer("pharos"));
    let instruments = Instruments::default().with_spans(spans);

    let asking =
        json!({"validations": [{"expression": "namespaceObject.metadata.name == 'shop'"}]});
    let policies = [policy("p0", json!({})), policy("p1", asking)];
    let policies = Policies::default().succeed(&observed(policies));
    let settled = Serving::settled(Arc::new(policies));
    let (_, settled) = watch::channel(Some(Arc::new(settled)));
    let shop = axum::routing::get(async || {
        axum::Json(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}))
    });
    let api = Router::new().route("/api/v1/namespaces/shop", shop);
    let api = tower::Layer::layer(&instruments.kube_layer(), api);
    let api: Api<Namespace> = Api::all(Client::new(api, "default"));
    let (_, known) = watch::channel(Known::default());
    let namespaces = Namespaces::new(api, known);
    let facts: Arc<dyn Facts> = Arc::new(instruments.clone());
    let events = Events::untold(facts.clone());
    let webhook = Webhook::new(
        Knowledge::of(settled),
        namespaces,
        facts,
        events,
        Reports::Untold,
        Memory::new(0),
    );

    let material = material();
    let listener = server::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let (router, tls) = (routes::router(&webhook, Router::new()), serving(&material));
    let server =
        Server::start(listener, tls, router, instruments, Patience::DEFAULT, Connections::any())
            .unwrap();
    let client = Connection::open(address, material.bundle()).await.unwrap();
    (server, client, kept)
}

fn review() -> String {
    let review = crate::testing::review(json!({
        "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
        "requestResource": {"group": "", "version": "v1", "resource": "pods"},
        "dryRun": true,
        "userInfo": {"username": "jane", "groups": ["a", "b"]},
        "object": {"metadata": {"name": "web", "labels": {}}},
    }));
    review.to_string()
}

fn told(span: &SpanData) -> Value {
    let pairs = span.attributes.iter();
    let pairs = pairs.map(|it| (it.key.to_string(), Value::from(it.value.to_string())));
    Value::Object(pairs.collect())
}

#[tokio::test]
async fn a_review_is_told_from_the_connection_to_each_policy() {
    let (server, mut client, kept) = scene().await;
    let (status, body) = client.post("/validate/ignore", &review()).await.unwrap();
    assert_eq!(status, 200, "{body}");
    assert_eq!(client.get("/nowhere").await.unwrap().0, 404);
    server.end(async {}).await.unwrap();

    let spans = kept.0.lock().unwrap().clone();
    let [asked, p0, p1, review, call, refused] = &spans[..] else { panic!("{spans:?}") };
    let names = [asked, p0, p1, review, call, refused].map(|span| &*span.name);
    let expected = [
        "KUBE namespaces/get",
        "POLICY /p0",
        "POLICY /p1",
        "VALIDATE CREATE /v1, Kind=Pod",
        "POST /validate/ignore",
        "GET",
    ];
    assert_eq!(names, expected);
    for part in [asked, p0, p1] {
        assert_eq!(part.parent_span_id, review.span_context.span_id());
    }
    assert_eq!(review.parent_span_id, call.span_context.span_id());
    let (p0, p1, review, call) = (told(p0), told(p1), told(review), told(call));
    assert_eq!(
        (&p0["pharos.policy.result"], &p1["pharos.policy.result"]),
        (&json!("fail"), &json!("pass"))
    );
    assert_eq!(p0["pharos.policy.message"], "a label app is needed");
    assert_eq!(review["admission.request.dryrun"], "true");
    assert_eq!(review["admission.request.requestresource.resource"], "pods");
    assert_eq!(review["admission.request.user.groups"], r#"["a","b"]"#);
    assert_eq!(review["admission.response.result.code"], "422");
    assert_eq!(call["network.peer.address"], "127.0.0.1");
    assert_eq!(call["http.response.body.size"], body.len().to_string());
    assert_eq!(told(refused)["http.response.status_code"], "404");
}
