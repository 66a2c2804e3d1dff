//! What is sent: reviews of Pods, and the policies that judge them.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

/// Those of the Pod Security Standards in Kyverno's library that there are as ValidatingPolicies.
const SUITES: &str = "../../shared/conformance/validating-policy/pod-security-vpol";
/// What that lacks of the Pod Security Standards.
const OTHERS: [(&str, &str); 2] = [
    (
        "disallow-host-ports",
        "variables.containers.all(c, c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0))",
    ),
    (
        "disallow-proc-mount",
        "variables.containers.all(c, c.?securityContext.?procMount.orValue('Default') == 'Default')",
    ),
];
const ONE: &str = "disallow-privileged-containers";
const COUNT: usize = 16;

/// A ValidatingPolicy that denies.
#[derive(Clone)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) yaml: String,
}

/// One of the Pod Security Standards, and all 16.
pub(crate) fn policies() -> anyhow::Result<[Vec<Policy>; 2]> {
    let suites = Path::new(env!("CARGO_MANIFEST_DIR")).join(SUITES);
    let mut all: Vec<Policy> =
        OTHERS.iter().map(|(name, expression)| other(name, expression)).collect();
    for level in ["baseline", "restricted"] {
        let folders = fs::read_dir(suites.join(level)).with_context(|| format!("no {SUITES}"))?;
        for entry in folders {
            let folder = entry?.path();
            let name = folder.file_name().context("a folder has a name")?;
            let name = name.to_string_lossy().into_owned();
            let file = folder.join(&name).with_extension("yaml");
            let yaml =
                fs::read_to_string(&file).with_context(|| format!("no {}", file.display()))?;
            all.push(Policy { name, yaml: yaml.replace("- Audit", "- Deny") });
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(all.len() == COUNT, "there are {} policies", all.len());
    let one: Vec<_> = all.iter().filter(|policy| policy.name == ONE).cloned().collect();
    ensure!(one.len() == 1, "there is no {ONE} among the policies");
    Ok([one, all])
}

fn other(name: &str, expression: &str) -> Policy {
    let policy = json!({
        "apiVersion": "policies.kyverno.io/v1alpha1", "kind": "ValidatingPolicy",
        "metadata": {"name": name},
        "spec": {
            "validationActions": ["Deny"],
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"], "resources": ["pods"],
            }]},
            "variables": [{
                "name": "containers",
                "expression": "object.spec.containers + object.spec.?initContainers.orValue([]) + \
                               object.spec.?ephemeralContainers.orValue([])",
            }],
            "validations": [{"expression": expression, "message": "Not allowed."}],
        },
    });
    Policy { name: name.to_owned(), yaml: policy.to_string() }
}

/// A Pod of about 2.4 KB that passes the Pod Security Standards.
pub(crate) fn small() -> Bytes {
    review(pod(5, json!({})))
}

/// The same with so much managed by others that the review has about 60 KB.
pub(crate) fn large() -> Bytes {
    let field =
        |index: usize| (format!("f:field-{index}"), json!({".": {}, "f:name": {}, "f:value": {}}));
    let fields: serde_json::Map<_, _> = (0..1000).map(field).collect();
    review(pod(
        5,
        json!([{"manager": "kubectl", "operation": "Update", "apiVersion": "v1",
        "fieldsType": "FieldsV1", "fieldsV1": fields}]),
    ))
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

fn pod(containers: usize, managed: Value) -> Value {
    let container = |index: usize| {
        json!({
            "name": format!("container-{index}"),
            "image": format!("registry.example.com/shop/web-{index}:1.27.3"),
            "ports": [{"containerPort": 8080 + index, "protocol": "TCP"}],
            "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "REGION", "value": "eu-1"}],
            "resources": {"limits": {"memory": "128Mi"}, "requests": {"cpu": "100m"}},
            "securityContext": {
                "privileged": false, "runAsNonRoot": true, "runAsUser": 1000, "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
            },
        })
    };
    let containers: Vec<Value> = (0..containers).map(container).collect();
    let mut metadata = json!({"name": "web", "namespace": "shop", "labels": {"app": "web"}});
    if managed.is_array() {
        metadata["managedFields"] = managed;
    }
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": {
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": containers, "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    })
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
