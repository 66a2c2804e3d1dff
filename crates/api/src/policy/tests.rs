use serde_json::{Value, json};

use super::*;

#[test]
fn a_policy_with_every_field_survives_decoding() {
    let policy = json!({
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ValidatingPolicy",
        "metadata": {"name": "no-latest-tag"},
        "spec": {
            "matchConstraints": {
                "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                    "resources": ["pods", "pods/ephemeralcontainers"], "scope": "Namespaced",
                }],
                "excludeResourceRules": [{
                    "apiGroups": [""], "apiVersions": ["*"], "operations": ["*"],
                    "resources": ["pods"], "resourceNames": ["debug"], "scope": "*",
                }],
                "namespaceSelector": {"matchLabels": {"team": "shop"}},
                "objectSelector": {
                    "matchExpressions": [{"key": "exempt", "operator": "DoesNotExist"}],
                },
                "matchPolicy": "Exact",
            },
            "matchConditions": [{"name": "not-a-node", "expression": "!request.userInfo.username.startsWith('system:node:')"}],
            "variables": [{"name": "containers", "expression": "object.spec.containers"}],
            "validations": [{
                "expression": "variables.containers.all(c, !c.image.endsWith(':latest'))",
                "message": "name a version",
                "messageExpression": "'name a version of ' + object.metadata.name",
                "reason": "Forbidden",
            }],
            "auditAnnotations": [{"key": "images", "valueExpression": "'some'"}],
            "validationActions": ["Deny", "Audit"],
            "failurePolicy": "Ignore",
            "evaluation": {
                "mode": "Kubernetes", "admission": {"enabled": true}, "background": {"enabled": false},
            },
            "autogen": {
                "podControllers": {"controllers": []},
                "validatingAdmissionPolicy": {"enabled": false},
            },
            "webhookConfiguration": {"timeoutSeconds": 5},
        },
        "status": {
            "conditionStatus": {
                "ready": false,
                "message": "spec.validations[0].expression: unexpected end",
                "conditions": [{
                    "type": "PolicyCached", "status": "False", "reason": "Failed", "message": "",
                    "lastTransitionTime": "2026-11-22T10:00:00Z",
                }],
            },
            "autogen": {"configs": {"defaults": {
                "targets": [{
                    "group": "apps", "version": "v1", "resource": "deployments",
                    "kind": "Deployment",
                }],
                "spec": {"validations": [{"expression": "true"}]},
            }}},
            "generated": false,
        },
    });
    survives::<ValidatingPolicy>(&policy);
    let mut namespaced = policy;
    namespaced["kind"] = json!("NamespacedValidatingPolicy");
    namespaced["metadata"]["namespace"] = json!("shop");
    survives::<NamespacedValidatingPolicy>(&namespaced);
}

#[test]
fn an_exception_with_every_field_survives_decoding() {
    survives::<PolicyException>(&json!({
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "PolicyException",
        "metadata": {"name": "debug", "namespace": "shop"},
        "spec": {
            "policyRefs": [{"name": "no-latest-tag", "kind": "ValidatingPolicy"}],
            "matchConditions": [{"name": "debug", "expression": "object.metadata.name == 'debug'"}],
            "images": ["ghcr.io/*"],
            "allowedValues": ["SYS_TIME"],
            "reportResult": "pass",
            "expiresAt": "2026-12-01T00:00:00Z",
            "properties": {"ticket": "42"},
            "evaluationMode": "Kubernetes",
        },
    }));
}

#[test]
fn a_cluster_policy_with_every_field_survives_decoding() {
    let selector = json!({"matchLabels": {"team": "*"}});
    let filter = json!({
        "resources": {
            "kinds": ["apps/v1/Deployment", "Pod/exec"], "names": ["a*"], "namespaces": ["?hop"],
            "annotations": {"a/*": "*"}, "selector": selector, "namespaceSelector": selector,
            "operations": ["CREATE", "CONNECT"],
        },
        "subjects": [
            {"kind": "ServiceAccount", "name": "s", "namespace": "n"},
            {"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"},
        ],
        "roles": ["shop:reader"],
        "clusterRoles": ["view"],
    });
    let mut legacy = filter.clone();
    legacy["resources"]["name"] = json!("a");
    let overrides = json!([{
        "action": "audit", "namespaces": ["kube-*"], "namespaceSelector": selector,
    }]);
    let kept = json!({"anything": [{"at": "all"}]});
    let rule = json!({
        "name": "rule",
        "match": {"any": [filter]},
        "exclude": legacy,
        "celPreconditions": [{"name": "p", "expression": "true"}],
        "validate": {
            "failureAction": "Enforce", "failureActionOverrides": overrides,
            "allowExistingViolations": false, "message": "m",
            "cel": {
                "expressions": [{"expression": "true", "messageExpression": "'m'"}],
                "variables": [{"name": "v", "expression": "1"}],
                "auditAnnotations": [{"key": "k", "valueExpression": "'v'"}],
                "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                "paramRef": {
                    "name": "n", "namespace": "m", "selector": selector,
                    "parameterNotFoundAction": "Deny",
                },
                "generate": true,
            },
            "pattern": kept, "anyPattern": [kept], "deny": kept, "foreach": [kept],
            "podSecurity": kept, "manifests": kept, "assert": kept,
        },
        "mutate": kept, "generate": kept, "verifyImages": [kept], "context": [kept],
        "preconditions": [kept], "imageExtractors": kept, "skipBackgroundRequests": false,
        "reportProperties": {"a": "b"},
    });
    let mut policy = json!({
        "apiVersion": "kyverno.io/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "rules"},
        "spec": {
            "rules": [rule, {"name": "second", "match": {"all": [{}]}}],
            "applyRules": "One", "failurePolicy": "Ignore", "validationFailureAction": "enforce",
            "validationFailureActionOverrides": overrides, "emitWarning": true, "admission": false,
            "background": false, "schemaValidation": false, "webhookTimeoutSeconds": 5,
            "mutateExistingOnPolicyUpdate": false, "generateExistingOnPolicyUpdate": false,
            "generateExisting": false, "useServerSideApply": true,
            "webhookConfiguration": {
                "failurePolicy": "Fail", "timeoutSeconds": 7,
                "matchConditions": [{"name": "c", "expression": "true"}],
            },
        },
        "status": {
            "ready": true,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Succeeded", "message": "",
                "lastTransitionTime": "2026-11-22T10:00:00Z",
            }],
            "autogen": {"rules": [rule]},
            "rulecount": {"validate": 2, "mutate": 0, "generate": 0, "verifyimages": 0},
            "validatingadmissionpolicy": {"generated": false, "message": "not asked for"},
        },
    });
    survives::<cluster_policy::ClusterPolicy>(&policy);
    policy["kind"] = json!("Policy");
    policy["metadata"]["namespace"] = json!("shop");
    survives::<cluster_policy::Policy>(&policy);
}

fn survives<K: Serialize + serde::de::DeserializeOwned>(object: &Value) {
    let decoded: K = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(serde_json::to_value(decoded).unwrap(), *object);
}

#[test]
fn an_evaluation_is_on_unless_it_says_otherwise() {
    let evaluation: Evaluation = serde_json::from_value(json!({"background": {}})).unwrap();
    assert_eq!(evaluation.background, Some(Toggle { enabled: true }));
}

#[test]
fn a_policy_without_anything_decodes() {
    let spec: ValidatingPolicySpec =
        serde_json::from_value(Value::Object(Default::default())).unwrap();
    assert_eq!(spec, ValidatingPolicySpec::default());
}
