//! What a review costs, and how much of it is for telling about it. CPU time.
#![expect(clippy::unwrap_used, reason = "a bench may fail anywhere")]

use std::time::Duration;

use criterion::Criterion;
use pharos_admission::Reviewer;
use pharos_api::policy::ValidatingPolicy;
use pharos_instruments::Instruments;
use pharos_testkit::bench::{Section, compare};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

const TIMES: u32 = 200;

/// What the Pod Security Standards ask of every container, each in a policy of its own.
const EXPRESSIONS: [&str; 4] = [
    "object.spec.containers.all(c, !has(c.securityContext) || !has(c.securityContext.privileged) || c.securityContext.privileged == false)",
    "!has(object.spec.hostNetwork) || object.spec.hostNetwork == false",
    "!has(object.spec.volumes) || object.spec.volumes.all(v, !has(v.hostPath))",
    "object.spec.containers.all(c, !has(c.ports) || c.ports.all(p, !has(p.hostPort) || p.hostPort == 0))",
];

fn policies(count: usize) -> Vec<ValidatingPolicy> {
    let policy = |index: usize| {
        json!({
            "apiVersion": "policies.kyverno.io/v1",
            "kind": "ValidatingPolicy",
            "metadata": {"name": format!("policy-{index}"), "generation": 1},
            "spec": {
                "failurePolicy": "Ignore",
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"],
                    "resources": ["pods"], "operations": ["CREATE"],
                }]},
                "validations": [{"expression": EXPRESSIONS[index % EXPRESSIONS.len()]}],
            },
        })
    };
    (0..count).map(|index| serde_json::from_value(policy(index)).unwrap()).collect()
}

/// A Pod of about 2.4 KB.
fn review() -> Vec<u8> {
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
    serde_json::to_vec(&review).unwrap()
}

fn answer(runtime: &Runtime, reviewer: &Reviewer, review: &[u8]) {
    let response = runtime.block_on(reviewer.answer(review.to_vec()));
    assert!(response.status().is_success());
}

fn main() -> std::io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _within = runtime.enter();
    let (instruments, _running) = Instruments::running();
    let review = review();
    let mut criterion = Criterion::default().configure_from_args();
    let mut section = Section::new(
        "review",
        "A review",
        "CPU time of one review of a Pod of 2.4 KB, from the whole body to the answer, without \
         TLS and HTTP: nobody is told, or metrics are recorded. Medians of rounds in turns.",
    );
    for count in [1, 16] {
        let untold = Reviewer::new(policies(count), None);
        let told = Reviewer::new(policies(count), Some(instruments.clone()));
        criterion.bench_function(&format!("a review under {count} policies"), |it| {
            it.iter(|| answer(&runtime, &told, &review));
        });
        let both = compare(
            TIMES,
            || answer(&runtime, &untold, &review),
            || answer(&runtime, &told, &review),
        );
        section.figure(&format!("{count} policies, nobody is told"), micros(both.first), "");
        section.figure(&format!("{count} policies, with metrics"), micros(both.second), "");
        let share = (both.ratio - 1.0) / both.ratio * 100.0;
        section.figure("share of telemetry", format!("{share:.1} %"), "");
    }
    criterion.final_summary();
    section.publish()
}

fn micros(time: Duration) -> String {
    format!("{:.1} \u{b5}s", time.as_secs_f64() * 1e6)
}
