use super::*;
use crate::documents::Document;
use kube::client::Body;
use serde_json::{Value, json};
use std::convert::Infallible;
use tokio::net::TcpListener;
use verdict::Outcome;

/// An object with a problem of its own, and receivers that need a Secret and none.
fn object(endpoint: &str) -> Value {
    let otlp = |more: Value| {
        let mut otlp = json!({"protocol": "GRPC", "endpoint": endpoint, "timeoutSeconds": 300});
        otlp["headers"] = more;
        otlp
    };
    let token = json!({"name": "a", "valueFrom": {"secretKeyRef": {"name": "token", "key": "k"}}});
    json!({
        "apiVersion": "telemetry.pharos.dev/v1alpha1", "kind": "TelemetryConfig",
        "metadata": {"name": "default"},
        "spec": {
            "components": ["BackgroundScan"],
            "exporters": [
                {"name": "plain", "type": "OTLP", "otlp": otlp(json!([]))},
                {"name": "headed", "type": "OTLP", "otlp": otlp(json!([token]))},
            ],
            "metrics": {"exporters": ["plain", "headed"]},
        },
    })
}

/// An API server that never answers.
fn silent() -> Client {
    let service = tower::service_fn(|_: axum::http::Request<Body>| {
        std::future::pending::<Result<axum::http::Response<Body>, Infallible>>()
    });
    Client::new(service, "engine")
}

#[tokio::test(start_paused = true)]
async fn what_was_found_is_told_although_nobody_answers() {
    // It takes connections, and says nothing.
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let value = object(&format!("http://{}", receiver.local_addr().unwrap()));
    let subject = Subject::of(Document { file: "f".to_owned(), value }, "engine");
    let inquiry = Inquiry {
        deadline: Deadline::start(),
        client: Some(silent()),
        proxies: Some(Proxies::from_environment(&|_| None)),
    };
    let objects = inquiry.verdicts(vec![subject], &Inspector::start().unwrap()).await;
    let verdicts = Verdicts::of(objects, Vec::new(), Vec::new());
    assert_eq!(verdicts.outcome, Outcome::Unchecked);
    let findings = &verdicts.objects[0].findings;
    let told: Vec<_> =
        findings.iter().map(|it| (it.severity, it.reason, it.field.as_str())).collect();
    let unchecked = |reason, field| (Severity::Unchecked, reason, field);
    let secret = "spec.exporters[headed].otlp.headers[a].valueFrom.secretKeyRef";
    let expected = [
        unchecked("NotRead", "spec.components"),
        unchecked("NotRead", secret),
        unchecked("NotProbed", "spec.exporters[headed]"),
        unchecked("NotAnswered", "spec.exporters[plain]"),
    ];
    assert_eq!(told, expected);
    for finding in findings {
        let silence = finding.message.ends_with("no answer within 10 s");
        assert!(silence || finding.reason == "NotProbed", "{finding:?}");
    }
}
