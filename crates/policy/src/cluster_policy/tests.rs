use serde_json::{Value, json};

use super::*;
use crate::json::Json;
use crate::request::{Request, UserRoles};

fn policy(spec: Value) -> ClusterPolicy {
    let policy = json!({
        "apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy",
        "metadata": {"name": "policy"}, "spec": spec,
    });
    serde_json::from_value(policy).unwrap()
}

/// A rule that is always failed, with these fields on top.
fn rule(name: &str, fields: Value) -> Value {
    let mut rule = json!({
        "name": name,
        "match": {"any": [{"resources": {"kinds": ["Pod"]}}]},
        "validate": {"cel": {"expressions": [{"expression": "false"}]}},
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        rule[field] = value.clone();
    }
    rule
}

fn compiled(spec: Value) -> CompiledPolicy {
    compile_cluster_policy(&policy(spec)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn problems(spec: Value) -> Vec<String> {
    let errors = compile_cluster_policy(&policy(spec)).expect_err("it compiles");
    errors.iter().map(|error| format!("{}: {}", error.path(), error.reason())).collect()
}

/// The request that creates a Pod, with these fields on top.
fn request(fields: Value) -> Value {
    let mut request = json!({
        "uid": "u", "operation": "CREATE",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "name": "web", "namespace": "shop",
        "userInfo": {"username": "alice", "groups": ["dev"]},
        "object": {"metadata": {
            "name": "web", "labels": {"app": "web", "storage.example/class": "fast"},
            "annotations": {"owner": "alice"},
        }},
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        request[field] = value.clone();
    }
    request
}

/// Whether a rule with that match (and exclude) is about the request, or why nobody can say.
fn is_about(fields: Value, asked: &Value) -> Result<bool, String> {
    let policy = compiled(json!({"rules": [rule("r", fields)]}));
    let asked = Json::from(asked.clone());
    let request = Request::parse(&asked).unwrap();
    policy.rules[0].matcher.matches(&request).map_err(|error| error.to_string())
}

fn any(filter: Value) -> Value {
    json!({"match": {"any": [filter]}})
}

#[test]
fn what_is_not_evaluated_is_refused_by_name() {
    let fields = json!({
        "mutate": {"a": 1}, "generate": {"a": 1}, "verifyImages": [{}], "context": [{}],
        "preconditions": [], "imageExtractors": {},
        "validate": {
            "pattern": {}, "anyPattern": [], "deny": {}, "foreach": [{}], "podSecurity": {},
            "manifests": {}, "assert": {},
            "cel": {
                "expressions": [{"expression": "true"}], "paramKind": {}, "paramRef": {},
                "generate": true,
            },
        },
    });
    let named = [
        "mutate",
        "generate",
        "verifyImages",
        "context",
        "preconditions",
        "imageExtractors",
        "validate.pattern",
        "validate.anyPattern",
        "validate.deny",
        "validate.foreach",
        "validate.podSecurity",
        "validate.manifests",
        "validate.assert",
        "validate.cel.paramKind",
        "validate.cel.paramRef",
        "validate.cel.generate",
    ];
    let expected: Vec<_> =
        named.iter().map(|field| format!("spec.rules[0].{field}: Unsupported")).collect();
    assert_eq!(problems(json!({"rules": [rule("r", fields)]})), expected);
}

#[test]
fn a_rule_that_means_nothing_is_refused() {
    for (spec, expected) in [
        (json!({}), "spec.rules"),
        (json!({"rules": [rule("", json!({}))]}), "spec.rules[0].name"),
        (json!({"rules": [rule("r", json!({})), rule("r", json!({}))]}), "spec.rules[1].name"),
        (json!({"rules": [rule("r", json!({"validate": {}}))]}), "spec.rules[0].validate.cel"),
        (
            json!({"rules": [rule("r", json!({"validate": {"cel": {}}}))]}),
            "spec.rules[0].validate.cel.expressions",
        ),
        (json!({"rules": [rule("r", any(json!({})))]}), "spec.rules[0].match"),
        (
            json!({"rules": [rule("r", any(json!({"resources": {"kinds": ["a/b/c/d/e"]}})))]}),
            "spec.rules[0].match.any[0].resources.kinds[0]",
        ),
        (
            json!({"rules": [rule("r", any(json!({
                "resources": {"kinds": ["Pod"], "name": "a", "names": ["b"]},
            })))]}),
            "spec.rules[0].match.any[0].resources",
        ),
        (
            json!({"rules": [rule("r", any(json!({
                "resources": {"kinds": ["Pod"]}, "roles": ["reader"],
            })))]}),
            "spec.rules[0].match.any[0].roles[0]",
        ),
        (
            json!({"rules": [rule("r", any(json!({
                "resources": {"kinds": ["Pod"]},
                "subjects": [{"kind": "ServiceAccount", "name": "a"}],
            })))]}),
            "spec.rules[0].match.any[0].subjects[0]",
        ),
        (
            json!({"rules": [rule("r", json!({"exclude": {
                "any": [{"resources": {"kinds": ["Pod"]}}], "clusterRoles": ["view"],
            }}))]}),
            "spec.rules[0].exclude",
        ),
        (
            json!({"rules": [rule("r", json!({}))], "webhookTimeoutSeconds": 31}),
            "spec.webhookConfiguration.timeoutSeconds",
        ),
    ] {
        let found = problems(spec.clone());
        assert!(found.contains(&format!("{expected}: Invalid")), "{spec}: {found:?}");
    }
    let all = json!({"pod-policies.kyverno.io/autogen-controllers": "all"});
    let mut annotated = policy(json!({"rules": [rule("r", json!({}))]}));
    annotated.metadata.annotations = serde_json::from_value(all).unwrap();
    assert!(compile_cluster_policy(&annotated).is_err());
}

#[test]
fn a_filter_is_about_a_resource_by_all_that_it_says() {
    let selector = |labels: Value| json!({"matchLabels": labels});
    for (resources, expected) in [
        (json!({}), true),
        (json!({"names": ["w?b"]}), true),
        (json!({"names": ["db", "web-*"]}), false),
        (json!({"name": "w*"}), true),
        (json!({"namespaces": ["s*", "x"]}), true),
        (json!({"namespaces": ["prod"]}), false),
        (json!({"annotations": {"own*": "a?ice"}}), true),
        (json!({"annotations": {"owner": "bob"}}), false),
        (json!({"selector": selector(json!({"app": "web"}))}), true),
        (json!({"selector": selector(json!({"app": "db"}))}), false),
        (json!({"selector": selector(json!({"storage.example/*": "*"}))}), true),
        (json!({"selector": selector(json!({"storage.example/*": "slow"}))}), false),
        (json!({"selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}), true),
        (json!({"operations": ["CREATE"]}), true),
        (json!({"operations": ["UPDATE", "DELETE"]}), false),
    ] {
        let mut filter = resources.clone();
        filter["kinds"] = json!(["Pod"]);
        let filter = any(json!({"resources": filter}));
        assert_eq!(is_about(filter, &request(json!({}))), Ok(expected), "{resources}");
    }
}

#[test]
fn the_labels_of_the_namespace_decide_and_are_asked_for() {
    let filter = any(json!({"resources": {
        "kinds": ["Pod"], "namespaceSelector": {"matchLabels": {"team": "*"}},
    }}));
    let unknown = is_about(filter.clone(), &request(json!({}))).unwrap_err();
    assert!(unknown.contains("namespace is not known"), "{unknown}");
    let policy = compiled(json!({"rules": [rule("r", filter)]}));
    assert!(policy.needs_namespace());
    let raw = Json::from(request(json!({})));
    for (labels, expected) in [(json!({"team": "a"}), true), (json!({}), false)] {
        let namespace = json!({"metadata": {"name": "shop", "labels": labels}});
        let mut request = Request::parse(&raw).unwrap();
        let namespace = Json::from(namespace);
        request.namespace_object = Some(&namespace);
        assert_eq!(policy.rules[0].matcher.matches(&request), Ok(expected));
    }
}

#[test]
fn users_groups_and_roles_decide_unless_nobody_asks() {
    let of = |users: Value| {
        let mut filter = users;
        filter["resources"] = json!({"kinds": ["Pod"]});
        any(filter)
    };
    let subject = |kind: &str, name: &str| json!({"subjects": [{"kind": kind, "name": name}]});
    let asked = request(json!({}));
    assert_eq!(is_about(of(subject("User", "al*")), &asked), Ok(true));
    assert_eq!(is_about(of(subject("User", "bob")), &asked), Ok(false));
    assert_eq!(is_about(of(subject("Group", "dev")), &asked), Ok(true));
    let robot = json!({"subjects": [{"kind": "ServiceAccount", "name": "*", "namespace": "ci"}]});
    let by_robot = request(json!({"userInfo": {"username": "system:serviceaccount:ci:robot"}}));
    assert_eq!(is_about(of(robot.clone()), &asked), Ok(false));
    assert_eq!(is_about(of(robot), &by_robot), Ok(true));

    let nobody = request(json!({"userInfo": {}}));
    assert_eq!(is_about(of(subject("User", "bob")), &nobody), Ok(true));
    let excluded = json!({"exclude": {"any": [subject("User", "bob")]}});
    assert_eq!(is_about(excluded, &nobody), Ok(true), "nobody is not bob");

    let roles = of(json!({"roles": ["shop:reader"], "clusterRoles": ["view", "edit"]}));
    let unknown = is_about(roles.clone(), &asked).unwrap_err();
    assert!(unknown.contains("roles of the user are not known"), "{unknown}");
    let policy = compiled(json!({"rules": [rule("r", roles)]}));
    assert!(policy.needs_roles());
    let asked = Json::from(asked);
    for (roles, cluster_roles, expected) in [
        ("shop:reader", "edit", true),
        ("shop:reader", "admin", false),
        ("b:reader", "edit", false),
    ] {
        let (roles, cluster_roles) = ([roles.to_owned()], [cluster_roles.to_owned()]);
        let mut request = Request::parse(&asked).unwrap();
        request.user_roles = Some(UserRoles { roles: &roles, cluster_roles: &cluster_roles });
        assert_eq!(policy.rules[0].matcher.matches(&request), Ok(expected));
    }
}

#[test]
fn filters_are_joined_by_any_and_all_and_excluded_by_the_same() {
    let (pods, shop, prod) = (
        json!({"resources": {"kinds": ["Pod"]}}),
        json!({"resources": {"namespaces": ["shop"]}}),
        json!({"resources": {"namespaces": ["prod"]}}),
    );
    let unknown = json!({"resources": {"namespaceSelector": {}}});
    for (fields, expected) in [
        (json!({"match": {"any": [pods, prod]}}), Ok(true)),
        (json!({"match": {"all": [pods, prod]}}), Ok(false)),
        (json!({"match": {"all": [pods, shop]}}), Ok(true)),
        (json!({"match": {"any": [unknown, pods]}}), Ok(true)),
        (json!({"match": {"all": [pods, unknown, prod]}}), Ok(false)),
        (json!({"match": {"all": [pods, unknown]}}), Err(Unknown::Namespace)),
        (json!({"exclude": {"any": [prod, shop]}}), Ok(false)),
        (json!({"exclude": {"all": [prod, shop]}}), Ok(true)),
        (json!({"exclude": {"all": [pods, shop]}}), Ok(false)),
        (json!({"exclude": shop}), Ok(false)),
        (json!({"exclude": {"any": [{}]}}), Ok(true)),
        (json!({"exclude": {"any": [unknown]}}), Err(Unknown::Namespace)),
    ] {
        let found = is_about(fields.clone(), &request(json!({})));
        assert_eq!(found, expected.map_err(|it: Unknown| it.to_string()), "{fields}");
    }
}

#[test]
fn a_part_of_a_resource_is_matched_by_the_kind_of_the_resource() {
    let exec = request(json!({
        "operation": "CONNECT", "subResource": "exec",
        "kind": {"group": "", "version": "v1", "kind": "PodExecOptions"}, "object": {},
    }));
    let kinds = |kind: &str| any(json!({"resources": {"kinds": [kind], "names": ["web"]}}));
    assert_eq!(is_about(kinds("Pod/exec"), &exec), Ok(true), "also by the name of the request");
    assert_eq!(is_about(kinds("Pod"), &exec), Ok(false));
    assert_eq!(is_about(kinds("PodExecOptions"), &exec), Ok(false));
}

#[test]
fn what_is_deleted_is_matched_as_it_was_and_what_has_no_name_yet_by_its_prefix() {
    let names = |name: &str| any(json!({"resources": {"kinds": ["Pod"], "names": [name]}}));
    let deleted = request(json!({
        "operation": "DELETE", "object": null, "oldObject": {"metadata": {"name": "web"}},
    }));
    assert_eq!(is_about(names("web"), &deleted), Ok(true));
    let generated = request(json!({"name": "", "object": {"metadata": {"generateName": "web-"}}}));
    assert_eq!(is_about(names("web-*"), &generated), Ok(true));
}

#[test]
fn a_policy_is_about_its_own_namespace() {
    let namespaced: Policy = serde_json::from_value(json!({
        "metadata": {"name": "policy", "namespace": "shop"},
        "spec": {"rules": [rule("r", any(json!({"resources": {"kinds": ["*"]}})))]},
    }))
    .unwrap();
    let compiled = compile_policy(&namespaced).unwrap();
    let elsewhere = request(json!({"namespace": "prod"}));
    let namespace = request(json!({
        "kind": {"group": "", "version": "v1", "kind": "Namespace"}, "namespace": "shop",
        "resource": {"group": "", "version": "v1", "resource": "namespaces"},
    }));
    for (raw, expected) in [(request(json!({})), true), (elsewhere, false), (namespace, false)] {
        let raw = Json::from(raw);
        let request = Request::parse(&raw).unwrap();
        assert_eq!(compiled.rules[0].matcher.matches(&request), Ok(expected), "{raw}");
    }
    let mut filtered = namespaced.clone();
    let resources = filtered.spec.rules[0].matches.any[0].resources.as_mut().unwrap();
    resources.namespaces = vec!["prod".to_owned()];
    assert!(compile_policy(&filtered).unwrap_err().to_string().contains("namespaces"));
    filtered.metadata.namespace = None;
    assert!(compile_policy(&filtered).unwrap_err().to_string().contains("metadata.namespace"));
}

#[test]
fn the_action_is_the_rules_or_else_the_policys_and_an_override_goes_before() {
    let action = |spec: Value, validate: Value, namespace: &str, labels: Value| -> String {
        let mut spec = spec;
        let mut fields = validate;
        fields["cel"] = json!({"expressions": [{"expression": "false"}]});
        spec["rules"] = json!([rule("r", json!({"validate": fields}))]);
        let policy = compiled(spec);
        let raw = request(json!({"namespace": namespace}));
        let object = json!({"metadata": {"labels": labels}});
        let raw = Json::from(raw);
        let mut request = Request::parse(&raw).unwrap();
        let object = Json::from(object);
        request.namespace_object = Some(&object);
        format!("{:?}", policy.rules[0].actions_for(&request))
    };
    let none = || json!({});
    let overrides = json!([
        {"action": "Enforce", "namespaces": ["prod-*"]},
        {"action": "Audit", "namespaces": ["shop"], "namespaceSelector": {"matchLabels": {"a": "b"}}},
        {"namespaces": ["*"]},
    ]);
    assert_eq!(action(none(), none(), "shop", none()), "{Audit}");
    let enforce = json!({"validationFailureAction": "enforce"});
    assert_eq!(action(enforce.clone(), none(), "shop", none()), "{Deny}");
    let audit = json!({"failureAction": "Audit"});
    assert_eq!(action(enforce.clone(), audit, "shop", none()), "{Audit}");
    let by_policy = json!({"validationFailureActionOverrides": overrides, "emitWarning": true});
    assert_eq!(action(by_policy.clone(), none(), "prod-1", none()), "{Deny}");
    assert_eq!(action(by_policy.clone(), none(), "shop", none()), "{Audit, Warn}");
    let by_rule = json!({"failureActionOverrides": overrides, "failureAction": "Enforce"});
    assert_eq!(action(none(), by_rule.clone(), "shop", none()), "{Deny}");
    assert_eq!(action(none(), by_rule, "shop", json!({"a": "b"})), "{Audit}");
    let ruled = json!({"failureAction": "Audit"});
    assert_eq!(
        action(by_policy, ruled, "prod-1", none()),
        "{Audit, Warn}",
        "the rule's own counts"
    );
}

#[test]
fn a_webhook_is_registered_for_every_kind_and_what_is_done_to_it() {
    let policy = compiled(json!({"rules": [rule("r", json!({"match": {"any": [
        {"resources": {"kinds": ["Pod", "apps/v1/Deployment"], "operations": ["CREATE"]}},
        {"resources": {"kinds": ["Pod"], "operations": ["DELETE", "CREATE"]}},
        {"resources": {"kinds": ["Service"]}},
    ]}}))]}));
    let Registration::Kinds(kinds) = policy.rules[0].registration() else {
        panic!("it is about kinds");
    };
    let kinds: Vec<_> = kinds
        .iter()
        .map(|it| format!("{}/{} {:?}", it.kind.group, it.kind.kind, it.operations))
        .collect();
    assert_eq!(
        kinds,
        [
            "*/Pod [Create, Delete]",
            "apps/Deployment [Create]",
            "*/Service [Create, Update, Delete, Connect]",
        ]
    );
}
