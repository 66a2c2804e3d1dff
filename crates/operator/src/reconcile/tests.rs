use std::collections::BTreeMap;
use std::time::SystemTime;

use pharos_api::telemetryconfig::{TelemetryConfig, TelemetryConfigSpec};
use pharos_cluster::references::{Found, Reading};
use pharos_cluster::view::Observed;
use pharos_testkit::pki::{Authority, Leaf, Pair};
use serde_json::{Value, json};

use super::*;
use crate::report::{ConfigReport, State};

mod schedules;
mod steps;
mod verdicts;
mod world;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn spec(value: Value) -> Arc<TelemetryConfigSpec> {
    Arc::new(serde_json::from_value(value).unwrap())
}

/// Pushed, to a port that tells one such configuration from another.
fn pushed(port: u16) -> Value {
    let otlp = json!({"protocol": "GRPC", "endpoint": format!("http://127.0.0.1:{port}")});
    json!({
        "exporters": [{"name": "o", "type": "OTLP", "otlp": otlp}],
        "metrics": {"exporters": ["o"]},
    })
}

/// Pushed, with a header from the key `value` of a Secret.
fn with_token(port: u16, secret: &str) -> Value {
    let mut spec = pushed(port);
    let source = json!({"secretKeyRef": {"name": secret, "key": "value"}});
    spec["exporters"][0]["otlp"]["headers"] = json!([{"name": "a", "valueFrom": source}]);
    spec
}

/// Scraped, with a certificate.
fn scraped(secret: &str) -> Value {
    let tls = json!({"certificateRef": {"name": secret}});
    json!({
        "exporters": [{"name": "p", "type": "Prometheus", "prometheus": {"tls": tls}}],
        "metrics": {"exporters": ["p"]},
    })
}

/// What cannot be programmed, whatever the cluster holds.
fn invalid() -> Value {
    let mut spec = pushed(9);
    spec["resource"] = json!({"attributes": [{"name": "service.name", "value": "x"}]});
    spec
}

/// A generation of an object; without a spec it cannot be decoded.
fn observed(uid: &str, generation: i64, spec: Option<Value>) -> Observed<TelemetryConfig> {
    let mut object: TelemetryConfig = serde_json::from_value(json!({
        "apiVersion": "telemetry.pharos.dev/v1alpha1",
        "kind": "TelemetryConfig",
        "metadata": {"name": format!("name-{uid}"), "uid": uid, "generation": generation},
        "spec": {},
    }))
    .unwrap();
    let metadata = object.metadata.clone();
    let object = match spec {
        Some(spec) => {
            object.spec = serde_json::from_value(spec).unwrap();
            Ok(Arc::new(object))
        }
        None => Err("it is no object".to_owned()),
    };
    Observed { metadata, object }
}

fn objects(objects: impl IntoIterator<Item = Observed<TelemetryConfig>>) -> Objects {
    Arc::new(objects.into_iter().map(|it| (it.uid().to_owned(), it)).collect())
}

fn token(name: &str, version: &str, value: &str) -> (DataObject, Reading) {
    let values = [("value".to_owned(), Some(value.as_bytes().to_vec().into()))];
    (DataObject::secret(name), Reading::Found(Found::new(name, version, values)))
}

/// A certificate that is valid for so long from now.
fn pair(valid: Duration) -> Pair {
    let now = SystemTime::now();
    let leaf = Leaf::server(&["p"]).valid(now - DAY..now + valid);
    Authority::new("a").unwrap().issue(&leaf).unwrap()
}

fn certificate(name: &str, version: &str, pair: &Pair) -> (DataObject, Reading) {
    let value = |key: &str, pem: &str| (key.to_owned(), Some(pem.as_bytes().to_vec().into()));
    let values = [value("tls.crt", &pair.certificate_pem), value("tls.key", &pair.key_pem)];
    (DataObject::secret(name), Reading::Found(Found::new(name, version, values)))
}

fn references(read: impl IntoIterator<Item = (DataObject, Reading)>) -> References {
    read.into_iter().collect()
}

fn nothing_odd() -> Inspect {
    Box::new(|_| Vec::new())
}

fn reconciler() -> Reconciler {
    let components = BTreeSet::from([Component::Admission]);
    Reconciler::new(components, Config::prometheus(), nothing_odd())
}
