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
        },
    });
    let decoded: ValidatingPolicy = serde_json::from_value(policy.clone()).unwrap();
    assert_eq!(serde_json::to_value(decoded).unwrap(), policy);
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
