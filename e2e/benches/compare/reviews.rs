//! What is sent: reviews of Pods, and the policies that judge them.

use anyhow::ensure;
use bytes::Bytes;
pub(crate) use pharos_e2e::pod_security::Policy;
use pharos_e2e::pod_security::{EXTRAS, library, passing};
use serde_json::{Value, json};

/// One of them.
const ONE: &str = "disallow-privileged-containers";
const COUNT: usize = 16;

/// One of the Pod Security Standards, and all 16, as ValidatingPolicies that deny.
pub(crate) fn policies() -> anyhow::Result<[Vec<Policy>; 2]> {
    let mut all = library()?;
    for policy in &mut all {
        policy.yaml = policy.yaml.replace("- Audit", "- Deny");
    }
    all.extend(EXTRAS.iter().map(|extra| extra.validating_policy("Deny")));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(all.len() == COUNT, "there are {} policies", all.len());
    let one: Vec<_> = all.iter().filter(|policy| policy.name == ONE).cloned().collect();
    ensure!(one.len() == 1, "there is no {ONE} among the policies");
    Ok([one, all])
}

/// A Pod of about 2.4 KB that passes the Pod Security Standards.
pub(crate) fn small() -> Bytes {
    review(pod(json!({})))
}

/// The same with so much managed by others that the review has about 60 KB.
pub(crate) fn large() -> Bytes {
    let field =
        |index: usize| (format!("f:field-{index}"), json!({".": {}, "f:name": {}, "f:value": {}}));
    let fields: serde_json::Map<_, _> = (0..1000).map(field).collect();
    review(pod(json!([{"manager": "kubectl", "operation": "Update", "apiVersion": "v1",
        "fieldsType": "FieldsV1", "fieldsV1": fields}])))
}

/// A Pod that every policy refuses.
pub(crate) fn violating() -> Bytes {
    review(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "hostNetwork": true, "hostPID": true, "hostIPC": true,
            "securityContext": {
                "runAsNonRoot": false, "runAsUser": 0, "sysctls": [{"name": "kernel.msgmax", "value": "1"}],
                "seccompProfile": {"type": "Unconfined"}, "windowsOptions": {"hostProcess": true},
                "seLinuxOptions": {"type": "custom", "user": "u", "role": "r"},
            },
            "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
            "containers": [{
                "name": "web", "image": "example.com/web:1", "ports": [{"containerPort": 80, "hostPort": 80}],
                "securityContext": {
                    "privileged": true, "allowPrivilegeEscalation": true, "runAsNonRoot": false, "runAsUser": 0,
                    "procMount": "Unmasked", "capabilities": {"add": ["SYS_ADMIN"]},
                    "seccompProfile": {"type": "Unconfined"}, "windowsOptions": {"hostProcess": true},
                    "seLinuxOptions": {"type": "custom", "user": "u", "role": "r"},
                },
            }],
        },
    }))
}

fn pod(managed: Value) -> Value {
    let mut pod = passing("shop", "web", 5);
    if managed.is_array() {
        pod["metadata"]["managedFields"] = managed;
    }
    pod
}

fn review(pod: Value) -> Bytes {
    let gvk = json!({"group": "", "version": "v1", "kind": "Pod"});
    let gvr = json!({"group": "", "version": "v1", "resource": "pods"});
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": gvk, "resource": gvr, "requestKind": gvk, "requestResource": gvr,
            "name": "web", "namespace": "shop", "operation": "CREATE", "dryRun": false,
            "userInfo": {"username": "jane", "groups": ["system:authenticated"]},
            "object": pod, "oldObject": null, "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    });
    review.to_string().into()
}
