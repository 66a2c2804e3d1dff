//! Which resource a kind is served as, and whether it lives in namespaces, without asking a cluster.
//!
//! For the kinds of Kubernetes it is a table. For others the plural is what the API conventions make
//! of the name, and the objects live in namespaces, unless a CustomResourceDefinition says otherwise.

use std::collections::BTreeMap;

use serde_json::Value;

/// How a kind is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// The resource, in the plural.
    pub(crate) resource: String,
    /// Where its objects live.
    pub(crate) scope: Scope,
}

/// Where objects live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespaced,
    Cluster,
}

/// What is known about kinds: Kubernetes' own, and those of the definitions that were read.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    /// By group and kind.
    defined: BTreeMap<(String, String), Served>,
}

/// The kinds that live in no namespace, by group.
const CLUSTER: &[(&str, &[&str])] = &[
    ("", &["ComponentStatus", "Namespace", "Node", "PersistentVolume"]),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("authentication.k8s.io", &["SelfSubjectReview", "TokenReview"]),
    (
        "authorization.k8s.io",
        &["SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"],
    ),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("networking.k8s.io", &["IPAddress", "IngressClass", "ServiceCIDR"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding"]),
    ("resource.k8s.io", &["DeviceClass", "ResourceSlice"]),
    ("scheduling.k8s.io", &["PriorityClass"]),
    (
        "storage.k8s.io",
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"],
    ),
    ("storagemigration.k8s.io", &["StorageVersionMigration"]),
    // Kyverno's.
    (
        "policies.kyverno.io",
        &[
            "DeletingPolicy",
            "GeneratingPolicy",
            "ImageValidatingPolicy",
            "MutatingPolicy",
            "ValidatingPolicy",
        ],
    ),
    ("kyverno.io", &["ClusterCleanupPolicy", "ClusterPolicy", "GlobalContextEntry"]),
    ("wgpolicyk8s.io", &["ClusterPolicyReport"]),
    // Two that policies are often about.
    ("gateway.networking.k8s.io", &["GatewayClass"]),
    ("karpenter.sh", &["NodeClaim", "NodePool"]),
];

/// Kinds whose plural no rule makes.
const IRREGULAR: &[(&str, &str, &str)] = &[("", "Endpoints", "endpoints")];

// === impl Kinds ===

impl Kinds {
    /// Adds what a CustomResourceDefinition says; anything else says nothing.
    pub(crate) fn define(&mut self, document: &Value) {
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
        if text("/kind") != Some("CustomResourceDefinition") {
            return;
        }
        let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
        let (Some(group), Some(kind), Some(resource)) = (group, kind, text("/spec/names/plural"))
        else {
            return;
        };
        let scope = match text("/spec/scope") {
            Some("Cluster") => Scope::Cluster,
            _ => Scope::Namespaced,
        };
        let served = Served { resource: resource.to_owned(), scope };
        self.defined.insert((group.to_owned(), kind.to_owned()), served);
    }

    /// How a kind is served.
    pub(crate) fn served(&self, group: &str, kind: &str) -> Served {
        let defined = self.defined.get(&(group.to_owned(), kind.to_owned()));
        defined.cloned().unwrap_or_else(|| built_in(group, kind))
    }
}

fn built_in(group: &str, kind: &str) -> Served {
    let listed = |(of, kinds): &(&str, &[&str])| *of == group && kinds.contains(&kind);
    let scope = if CLUSTER.iter().any(listed) { Scope::Cluster } else { Scope::Namespaced };
    let irregular = IRREGULAR.iter().find(|(of, it, _)| *of == group && *it == kind);
    let resource = irregular.map_or_else(|| plural(kind), |(_, _, plural)| (*plural).to_owned());
    Served { resource, scope }
}

/// The plural as English makes it, and the tools that generate definitions.
fn plural(kind: &str) -> String {
    let singular = kind.to_lowercase();
    if singular.ends_with(['s', 'x', 'z']) || singular.ends_with("ch") || singular.ends_with("sh") {
        return format!("{singular}es");
    }
    match singular.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{singular}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn served(group: &str, kind: &str) -> (String, Scope) {
        let Served { resource, scope } = Kinds::default().served(group, kind);
        (resource, scope)
    }

    #[test]
    fn kubernetes_kinds_are_served_as_the_api_server_serves_them() {
        for (group, kind, resource, scope) in [
            ("", "Pod", "pods", Scope::Namespaced),
            ("", "Endpoints", "endpoints", Scope::Namespaced),
            ("", "Namespace", "namespaces", Scope::Cluster),
            ("networking.k8s.io", "Ingress", "ingresses", Scope::Namespaced),
            ("networking.k8s.io", "IPAddress", "ipaddresses", Scope::Cluster),
            ("networking.k8s.io", "NetworkPolicy", "networkpolicies", Scope::Namespaced),
            ("storage.k8s.io", "StorageClass", "storageclasses", Scope::Cluster),
            ("storage.k8s.io", "CSIStorageCapacity", "csistoragecapacities", Scope::Namespaced),
            ("rbac.authorization.k8s.io", "ClusterRole", "clusterroles", Scope::Cluster),
            ("gateway.networking.k8s.io", "Gateway", "gateways", Scope::Namespaced),
            ("example.com", "Namespace", "namespaces", Scope::Namespaced),
        ] {
            assert_eq!(served(group, kind), (resource.to_owned(), scope), "{group} {kind}");
        }
    }

    #[test]
    fn a_definition_knows_better_than_the_rule() {
        let mut kinds = Kinds::default();
        kinds.define(&json!({"kind": "CustomResourceDefinition", "spec": {
            "group": "example.com", "scope": "Cluster", "names": {"kind": "Ox", "plural": "oxen"}}}));
        kinds.define(&json!({"kind": "CustomResourceDefinition", "spec": 1}));
        kinds.define(&json!("text"));
        let oxen = Served { resource: "oxen".to_owned(), scope: Scope::Cluster };
        assert_eq!(kinds.served("example.com", "Ox"), oxen);
        assert_eq!(kinds.served("example.org", "Ox").resource, "oxes");
    }
}
