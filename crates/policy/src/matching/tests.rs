//! Which requests match, case by case.

use serde_json::{Value, json};

use super::*;
use crate::json::Json;

fn matcher(constraints: Value) -> Matcher {
    let constraints = serde_json::from_value(constraints).expect("the constraints decode");
    let mut errors = Vec::new();
    let matcher = Matcher::resources(&constraints, "spec", &mut errors);
    assert!(errors.is_empty(), "{errors:?}");
    matcher
}

fn rule(fields: &Value) -> Value {
    let mut rule = json!({
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments"],
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        rule[field] = value.clone();
    }
    rule
}

/// A request to create a Deployment, with the given fields on top.
fn request(fields: &Value) -> Value {
    let mut request = json!({
        "uid": "u",
        "operation": "CREATE",
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "name": "web",
        "namespace": "shop",
        "object": {"metadata": {"name": "web", "labels": {"app": "web", "tier": "front"}}},
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        request[field] = value.clone();
    }
    request
}

fn matches(matcher: &Matcher, request: &Value) -> Result<bool, Undecided> {
    let request = Json::from(request.clone());
    let request = Request::parse(&request).expect("the request is well-formed");
    matcher.matches(&request)
}

fn resource(group: &str, resource: &str) -> Value {
    json!({"resource": {"group": group, "version": "v1", "resource": resource}})
}

#[test]
fn a_rule_matches_when_all_its_parts_do() {
    let part = |resource: &str, sub_resource: &str| {
        json!({"resource": {"group": "", "version": "v1", "resource": resource},
               "subResource": sub_resource})
    };
    let pods = |name: &str| json!({"apiGroups": [""], "resources": [name]});
    let namespace = json!({"resource": {"group": "", "version": "v1", "resource": "namespaces"},
                           "name": "shop", "namespace": "shop"});
    let namespaces =
        |scope: &str| json!({"apiGroups": [""], "resources": ["namespaces"], "scope": scope});
    let table = [
        // Operations.
        (json!({}), json!({}), true),
        (json!({}), json!({"operation": "DELETE"}), false),
        (json!({"operations": ["DELETE", "UPDATE"]}), json!({"operation": "UPDATE"}), true),
        (json!({"operations": ["*"]}), json!({"operation": "CONNECT"}), true),
        (json!({"operations": ["CONNECT"]}), json!({"operation": "CONNECT"}), true),
        // Groups and versions.
        (json!({"apiGroups": [""]}), json!({}), false),
        (json!({"apiGroups": ["", "apps"]}), json!({}), true),
        (json!({"apiGroups": ["*"]}), json!({}), true),
        (json!({"apiGroups": ["app"]}), json!({}), false),
        (json!({"apiVersions": ["v1beta1"]}), json!({}), false),
        (json!({"apiVersions": ["v1beta1", "v1"]}), json!({}), true),
        (json!({"apiVersions": ["*"]}), json!({}), true),
        // Resources and their parts.
        (json!({"resources": ["*"]}), json!({}), true),
        (json!({"resources": ["*"]}), json!({"subResource": "scale"}), false),
        (json!({"resources": ["*/*"]}), json!({}), true),
        (json!({"resources": ["*/*"]}), json!({"subResource": "scale"}), true),
        (json!({"resources": ["*/scale"]}), json!({"subResource": "scale"}), true),
        (json!({"resources": ["*/scale"]}), json!({}), false),
        (json!({"resources": ["deployments/scale"]}), json!({"subResource": "scale"}), true),
        (json!({"resources": ["deployments/scale"]}), json!({"subResource": "status"}), false),
        (json!({"resources": ["replicasets", "deployments"]}), json!({}), true),
        (json!({"resources": ["Deployments"]}), json!({}), false),
        (pods("pods"), part("pods", ""), true),
        (pods("pods"), part("pods", "exec"), false),
        (pods("pods/*"), part("pods", "exec"), true),
        (pods("pods/*"), part("pods", ""), true),
        (pods("pods/*"), part("services", "status"), false),
        // Names.
        (json!({"resourceNames": ["api", "web"]}), json!({}), true),
        (json!({"resourceNames": ["api"]}), json!({}), false),
        (json!({"resourceNames": ["web"]}), json!({"name": ""}), false),
        // Scope.
        (json!({"scope": "Namespaced"}), json!({}), true),
        (json!({"scope": "Cluster"}), json!({}), false),
        (json!({"scope": "*"}), json!({}), true),
        (json!({"scope": "Cluster"}), json!({"namespace": null}), true),
        (json!({"scope": "Namespaced"}), json!({"namespace": ""}), false),
        (namespaces("Cluster"), namespace.clone(), true),
        (namespaces("Namespaced"), namespace, false),
    ];
    for (fields, wanted, expected) in table {
        let matcher = matcher(json!({"resourceRules": [rule(&fields)]}));
        assert_eq!(matches(&matcher, &request(&wanted)), Ok(expected), "{fields} {wanted}");
    }
}

#[test]
fn one_rule_is_enough_and_one_exclusion_too() {
    let several = matcher(json!({
        "resourceRules": [rule(&json!({})), rule(&json!({"resources": ["daemonsets"]}))],
        "excludeResourceRules": [
            rule(&json!({"resourceNames": ["web"]})),
            rule(&json!({"resources": ["daemonsets"], "operations": ["UPDATE"]})),
        ],
    }));
    let daemon_set = resource("apps", "daemonsets");
    assert_eq!(matches(&several, &request(&json!({}))), Ok(false));
    assert_eq!(matches(&several, &request(&json!({"name": "api"}))), Ok(true));
    assert_eq!(matches(&several, &request(&daemon_set)), Ok(true));
    let update = json!({"resource": daemon_set["resource"], "operation": "UPDATE"});
    assert_eq!(matches(&several, &request(&update)), Ok(false));
}

#[test]
fn labels_are_selected_as_kubernetes_selects_them() {
    let expression = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    for (selector, expected) in [
        (json!({}), true),
        (json!({"matchLabels": {"app": "web"}}), true),
        (json!({"matchLabels": {"app": "web", "tier": "front"}}), true),
        (json!({"matchLabels": {"app": "web", "tier": "back"}}), false),
        (json!({"matchLabels": {"missing": ""}}), false),
        (expression("app", "In", &["api", "web"]), true),
        (expression("app", "In", &["api"]), false),
        (expression("app", "NotIn", &["web"]), false),
        (expression("app", "NotIn", &["api"]), true),
        (expression("missing", "NotIn", &["api"]), true),
        (expression("app", "Exists", &[]), true),
        (expression("missing", "Exists", &[]), false),
        (expression("app", "DoesNotExist", &[]), false),
        (expression("missing", "DoesNotExist", &[]), true),
        (
            json!({"matchLabels": {"app": "web"},
                "matchExpressions": [{"key": "tier", "operator": "Exists"}]}),
            true,
        ),
    ] {
        let matcher =
            matcher(json!({"resourceRules": [rule(&json!({}))], "objectSelector": selector}));
        assert_eq!(matches(&matcher, &request(&json!({}))), Ok(expected), "{selector}");
    }
}

#[test]
fn the_labels_before_or_after_the_change_will_do() {
    let matcher = matcher(json!({
        "resourceRules": [rule(&json!({"operations": ["*"]}))],
        "objectSelector": {"matchExpressions": [{"key": "old", "operator": "DoesNotExist"}]},
    }));
    let old = json!({"metadata": {"labels": {"old": "1"}}});
    let new = json!({"metadata": {}});
    for (before, after, expected) in [
        (&old, &old, false),
        (&old, &new, true),
        (&new, &old, true),
        // Nothing is not an object without labels.
        (&Value::Null, &old, false),
        (&old, &Value::Null, false),
        (&json!("text"), &json!([]), false),
        (&Value::Null, &json!({"metadata": {"labels": "none"}}), true),
    ] {
        let update = request(&json!({"oldObject": before, "object": after}));
        assert_eq!(matches(&matcher, &update), Ok(expected), "{before} {after}");
    }
}

#[test]
fn a_namespace_is_selected_by_labels_that_must_be_known() {
    let matcher = matcher(json!({
        "resourceRules": [rule(&json!({
            "apiGroups": ["*"], "resources": ["deployments", "namespaces", "clusterroles"],
            "operations": ["*"],
        }))],
        "namespaceSelector": {"matchLabels": {"team": "a"}},
    }));
    assert!(matcher.needs_namespace());
    let labelled = |team: &str| json!({"metadata": {"labels": {"team": team}}});

    let deployment = request(&json!({}));
    assert_eq!(matches(&matcher, &deployment), Err(UnknownNamespace.into()));
    let deployment = Json::from(deployment);
    for (team, expected) in [("a", true), ("b", false)] {
        let namespace = labelled(team);
        let mut request = Request::parse(&deployment).expect("the request is well-formed");
        let namespace = Json::from(namespace);
        request.namespace_object = Some(&namespace);
        assert_eq!(matcher.matches(&request), Ok(expected));
    }

    let mut cluster_role = resource("rbac.authorization.k8s.io", "clusterroles");
    cluster_role["namespace"] = Value::Null;
    assert_eq!(matches(&matcher, &request(&cluster_role)), Ok(true));

    // A namespace has labels of its own.
    let mut namespace = resource("", "namespaces");
    namespace["object"] = labelled("a");
    assert_eq!(matches(&matcher, &request(&namespace)), Ok(true));
    namespace["operation"] = json!("DELETE");
    namespace["object"] = Value::Null;
    namespace["oldObject"] = labelled("b");
    assert_eq!(matches(&matcher, &request(&namespace)), Ok(false));

    // Whom the rules do not concern is not asked for its namespace.
    assert_eq!(matches(&matcher, &request(&resource("apps", "daemonsets"))), Ok(false));
}

#[test]
fn a_selector_that_selects_everything_needs_no_namespace() {
    let matcher = matcher(json!({"resourceRules": [rule(&json!({}))], "namespaceSelector": {}}));
    assert!(!matcher.needs_namespace());
    assert_eq!(matches(&matcher, &request(&json!({}))), Ok(true));
}

#[test]
fn an_exact_policy_is_about_no_request_that_was_converted() {
    let rules = json!([rule(&json!({"apiVersions": ["v1"]}))]);
    let of =
        |match_policy: &str| matcher(json!({"matchPolicy": match_policy, "resourceRules": rules}));
    let requested = |version: &str| {
        let resource = json!({"group": "apps", "version": version, "resource": "deployments"});
        request(&json!({"requestResource": resource}))
    };
    for (sent, exact) in [(requested("v1"), true), (requested("v1beta1"), false)] {
        assert_eq!(matches(&of("Exact"), &sent), Ok(exact));
        assert_eq!(matches(&of("Equivalent"), &sent), Ok(true));
    }
    assert_eq!(matches(&of("Exact"), &request(&json!({}))), Ok(true), "nothing says it was");
}

#[test]
fn a_name_that_is_yet_to_be_generated_is_known_by_its_beginning() {
    let named = matcher(json!({"resourceRules": [rule(&json!({"resourceNames": ["web"]}))]}));
    for (name, generate_name, expected) in [
        ("web", "", true),
        ("web-1", "web-", false),
        ("", "web-", true),
        ("", "we", false),
        ("", "", false),
    ] {
        let metadata = json!({"metadata": {"generateName": generate_name}});
        let sent = request(&json!({"name": name, "object": metadata}));
        assert_eq!(matches(&named, &sent), Ok(expected), "{name} {generate_name}");
    }
}
