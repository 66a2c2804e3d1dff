//! Policies for one namespace.

use std::sync::Arc;

use pharos_api::policy::NamespacedValidatingPolicy;
use pharos_policy::{
    CompileErrors, CompiledPolicy, Lookups, Origin, PolicyKind, PolicySet, RuleResult,
    compile_namespaced_validating_policy,
};
use serde_json::{Value, json};

use crate::support::{compiled, judge, request};

fn namespaced(metadata: Value) -> Result<CompiledPolicy, CompileErrors> {
    let policy: NamespacedValidatingPolicy = serde_json::from_value(json!({
        "metadata": metadata,
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"],
                "resources": ["pods", "namespaces", "nodes"],
            }]},
            "validations": [{"expression": "false"}],
        },
    }))
    .expect("the policy decodes");
    compile_namespaced_validating_policy(&policy, &Lookups::Refused)
}

#[test]
fn a_namespaced_policy_sees_what_is_in_its_namespace_and_nothing_else() {
    let policy = namespaced(json!({"name": "p", "namespace": "shop"})).expect("it compiles");
    assert_eq!(policy.key().to_string(), "NamespacedValidatingPolicy shop/p");
    let set = PolicySet::new(Origin::Admission, [Arc::new(policy)], []);
    let of = |resource: &str, namespace: Value| {
        let resource = json!({"group": "", "version": "v1", "resource": resource});
        judge(&set, &request(json!({"resource": resource, "namespace": namespace})))
    };
    assert!(matches!(of("pods", json!("shop")), Some(RuleResult::Fail { .. })));
    assert_eq!(of("pods", json!("shopping")), None);
    assert_eq!(of("nodes", json!(null)), None);
    // A Namespace is in none.
    assert_eq!(of("namespaces", json!("shop")), None);
}

#[test]
fn policies_of_one_name_are_many_where_kind_or_namespace_differ() {
    let of = |namespace: &str| {
        let metadata = json!({"name": "p", "namespace": namespace});
        Arc::new(namespaced(metadata).expect("it compiles"))
    };
    let policies = [of("b"), compiled("p", json!({})), of("a"), of("b")];
    let set = PolicySet::new(Origin::Admission, policies, []);
    let keys: Vec<_> =
        set.iter().map(|policy| (policy.kind(), policy.namespace().cloned())).collect();
    let namespaced =
        |namespace: &str| (PolicyKind::NamespacedValidatingPolicy, Some(Arc::from(namespace)));
    let expected = [(PolicyKind::ValidatingPolicy, None), namespaced("a"), namespaced("b")];
    assert_eq!(keys, expected);
}

#[test]
fn a_namespaced_policy_must_be_in_a_namespace() {
    let errors = namespaced(json!({"name": "p"})).expect_err("it is in none");
    assert_eq!(errors.iter().next().map(|error| error.path()), Some("metadata.namespace"));
}
