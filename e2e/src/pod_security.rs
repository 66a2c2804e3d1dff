//! The policies that benches judge by: the Pod Security Standards of Kyverno's library, and a Pod that
//! passes them.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

/// Those of Kyverno's library that there are as ValidatingPolicies.
const LIBRARY: &str = "../../shared/conformance/validating-policy/pod-security-vpol";
const CONTAINERS: &str = "object.spec.containers + object.spec.?initContainers.orValue([]) + \
                          object.spec.?ephemeralContainers.orValue([])";
const NOT_ALLOWED: &str = "Not allowed.";

/// A policy, as it is applied.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Its manifest.
    pub yaml: String,
}

/// What the library lacks of the standards: an expression over `variables.containers`.
#[derive(Clone, Copy, Debug)]
pub struct Extra {
    name: &'static str,
    expression: &'static str,
}

/// All that it lacks.
pub const EXTRAS: [Extra; 2] = [
    Extra {
        name: "disallow-host-ports",
        expression: "variables.containers.all(c, c.?ports.orValue([]).all(p, \
                     p.?hostPort.orValue(0) == 0))",
    },
    Extra {
        name: "disallow-proc-mount",
        expression: "variables.containers.all(c, \
                     c.?securityContext.?procMount.orValue('Default') == 'Default')",
    },
];

/// The 14 of the library, as they are there: they audit.
pub fn library() -> anyhow::Result<Vec<Policy>> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join(LIBRARY);
    let mut policies = Vec::new();
    for level in ["baseline", "restricted"] {
        let folders = fs::read_dir(library.join(level)).with_context(|| format!("no {LIBRARY}"))?;
        for entry in folders {
            let folder = entry?.path();
            let name = folder.file_name().context("a folder has a name")?;
            let name = name.to_string_lossy().into_owned();
            let file = folder.join(&name).with_extension("yaml");
            let yaml =
                fs::read_to_string(&file).with_context(|| format!("no {}", file.display()))?;
            policies.push(Policy { name, yaml });
        }
    }
    Ok(policies)
}

/// A Pod of about 2.4 KB with five containers that passes the standards.
#[must_use]
pub fn passing(namespace: &str, name: &str, containers: usize) -> Value {
    let container = |index: usize| {
        json!({
            "name": format!("container-{index}"),
            "image": format!("registry.example.com/shop/web-{index}:1.27.3"),
            "ports": [{"containerPort": 8080 + index, "protocol": "TCP"}],
            "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "REGION", "value": "eu-1"}],
            "resources": {"limits": {"memory": "128Mi"}, "requests": {"cpu": "100m"}},
            "securityContext": {
                "privileged": false, "runAsNonRoot": true, "runAsUser": 1000,
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        })
    };
    let containers: Vec<Value> = (0..containers).map(container).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "web"}},
        "spec": {
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": containers, "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    })
}

// === impl Extra ===

impl Extra {
    /// As a ValidatingPolicy that does this about violations: `Audit` or `Deny`.
    #[must_use]
    pub fn validating_policy(&self, action: &str) -> Policy {
        self.policy(&json!({
            "apiVersion": "policies.kyverno.io/v1alpha1", "kind": "ValidatingPolicy",
            "metadata": {"name": self.name},
            "spec": {
                "validationActions": [action],
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"], "resources": ["pods"],
                }]},
                "variables": [{"name": "containers", "expression": CONTAINERS}],
                "validations": [{"expression": self.expression, "message": NOT_ALLOWED}],
            },
        }))
    }

    /// As a ClusterPolicy that audits, with one rule in CEL.
    #[must_use]
    pub fn cluster_policy(&self) -> Policy {
        self.policy(&json!({
            "apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy",
            "metadata": {"name": self.name},
            "spec": {"rules": [{
                "name": self.name,
                "match": {"any": [{"resources": {"kinds": ["Pod"]}}]},
                "validate": {"failureAction": "Audit", "cel": {
                    "variables": [{"name": "containers", "expression": CONTAINERS}],
                    "expressions": [{"expression": self.expression, "message": NOT_ALLOWED}],
                }},
            }]},
        }))
    }

    fn policy(&self, manifest: &Value) -> Policy {
        Policy { name: self.name.to_owned(), yaml: manifest.to_string() }
    }
}
