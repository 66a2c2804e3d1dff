//! Policies for Pods are policies for what makes Pods.

use pharos_policy::{Autogen, Origin, PolicySet, RuleResult};
use serde_json::{Value, json};

use crate::support::{compiled, judge, request};

/// A policy that no Pod may be called `bad`, or have a container called `bad`.
fn no_bad(spec: Value) -> PolicySet {
    let mut whole = json!({"validations": [{
        "expression": "object.metadata.labels.app != 'bad' \
                       && object.spec.containers.all(c, c.name != 'bad')",
        "message": "see object.spec",
    }]});
    for (field, value) in spec.as_object().into_iter().flatten() {
        whole[field] = value.clone();
    }
    PolicySet::new(Origin::Admission, [compiled("no-bad", whole)], [])
}

/// A request to create a controller whose Pods have that label and container.
fn controller(kind: &str, label: &str, container: &str) -> Value {
    let template = json!({
        "metadata": {"labels": {"app": label}}, "spec": {"containers": [{"name": container}]},
    });
    let (group, spec) = match kind {
        "CronJob" => ("batch", json!({"jobTemplate": {"spec": {"template": template}}})),
        "Job" => ("batch", json!({"template": template})),
        _ => ("apps", json!({"template": template})),
    };
    let resource = format!("{}s", kind.to_lowercase());
    request(json!({
        "kind": {"group": group, "version": "v1", "kind": kind},
        "resource": {"group": group, "version": "v1", "resource": resource},
        // What it is called itself is nothing to the policy.
        "object": {"metadata": {"name": "bad", "labels": {"app": "bad"}}, "spec": spec},
    }))
}

#[test]
fn what_makes_pods_is_judged_by_the_template_of_its_pods() {
    let set = no_bad(json!({}));
    for kind in ["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "Job", "CronJob"] {
        let of = |label, container| judge(&set, &controller(kind, label, container));
        assert_eq!(of("web", "web"), Some(RuleResult::Pass), "{kind}");
        for (label, container) in [("bad", "web"), ("web", "bad")] {
            let Some(RuleResult::Fail { message, validation: 0, .. }) = of(label, container) else {
                panic!("a {kind} makes bad Pods");
            };
            let path = if kind == "CronJob" { ".jobTemplate.spec" } else { "" };
            assert_eq!(message, format!("see object.spec{path}.template.spec"));
        }
    }
    let service = json!({"resource": {"group": "", "version": "v1", "resource": "services"}});
    assert_eq!(judge(&set, &request(service)), None);
}

#[test]
fn the_policy_says_for_which_controllers_rules_are_made() {
    let of = |controllers: Value| {
        no_bad(json!({"autogen": {"podControllers": {"controllers": controllers}}}))
    };
    let names = |set: &PolicySet| {
        let policy = set.iter().next().expect("there is one");
        policy.rules().iter().map(|rule| rule.name().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&no_bad(json!({}))), ["", "autogen-defaults", "autogen-cronjobs"]);
    assert_eq!(names(&of(json!([]))), [""]);
    let some = of(json!(["cronjobs", "deployments"]));
    assert_eq!(names(&some), ["", "autogen-defaults", "autogen-cronjobs"]);
    for (kind, is_judged) in [("CronJob", true), ("Deployment", true), ("Job", false)] {
        let judged = judge(&some, &controller(kind, "bad", "bad"));
        assert_eq!(judged.is_some(), is_judged, "{kind}");
    }
}

#[test]
fn a_kind_in_the_place_of_a_resource_is_passed_over() {
    let autogen =
        json!({"podControllers": {"controllers": ["Deployment", "CronJob", "deployments"]}});
    let set = no_bad(json!({"autogen": autogen}));
    for (kind, is_judged) in [("Deployment", true), ("CronJob", false), ("Job", false)] {
        assert_eq!(judge(&set, &controller(kind, "bad", "bad")).is_some(), is_judged, "{kind}");
    }
}

#[test]
fn where_no_rules_are_made_it_does_not_matter_for_which_controllers() {
    let rule = |resource: &str| json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": [resource]});
    let set = no_bad(json!({
        "matchConstraints": {"resourceRules": [rule("pods"), rule("services")]},
        "autogen": {"podControllers": {"controllers": ["jobsets"]}},
    }));
    assert_eq!(set.iter().map(|policy| policy.rules().len()).collect::<Vec<_>>(), [1]);
}

#[test]
fn rules_are_made_only_from_one_rule_for_pods_as_they_are() {
    let pods = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
    });
    let with = |field: &str, value: Value| {
        let mut rule = pods.clone();
        rule[field] = value;
        json!({"resourceRules": [rule]})
    };
    for (constraints, rules) in [
        (json!({"resourceRules": [pods], "namespaceSelector": {"matchLabels": {"a": "b"}}}), 3),
        (json!({"resourceRules": [pods], "objectSelector": {}}), 3),
        (json!({"resourceRules": [pods], "objectSelector": {"matchLabels": {"a": "b"}}}), 1),
        (json!({"resourceRules": [pods], "excludeResourceRules": [pods]}), 1),
        (json!({"resourceRules": [pods, pods]}), 1),
        (with("resourceNames", json!(["web"])), 1),
        (with("resources", json!(["pods", "services"])), 1),
        (with("resources", json!(["pods/*"])), 1),
        (with("apiGroups", json!(["*"])), 1),
        (with("apiVersions", json!(["*"])), 1),
    ] {
        let set = no_bad(json!({"matchConstraints": constraints}));
        let policy = set.iter().next().expect("there is one");
        assert_eq!(policy.rules().len(), rules, "{constraints}");
    }
}

#[test]
fn status_shows_what_was_made() {
    let constraints = json!({
        "resourceRules": [{
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "DELETE"],
            "resources": ["pods"], "scope": "Namespaced",
        }],
        "namespaceSelector": {"matchLabels": {"team": "a"}},
    });
    let set = no_bad(json!({"matchConstraints": constraints}));
    let policy = set.iter().next().expect("there is one");
    assert_eq!(policy.rules()[1].autogen(), Some(Autogen::Defaults));
    let shown = serde_json::to_value(policy.autogen()).expect("it can be shown");
    let names: Vec<_> = shown["configs"].as_object().expect("a map").keys().collect();
    assert_eq!(names, ["cronjobs", "defaults"]);
    let target =
        json!([{"group": "batch", "version": "v1", "resource": "cronjobs", "kind": "CronJob"}]);
    assert_eq!(shown["configs"]["cronjobs"]["targets"], target);
    let spec = &shown["configs"]["defaults"]["spec"];
    let rule = |group: &str, resources: &[&str]| {
        json!({
            "apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "DELETE"],
            "resources": resources,
        })
    };
    let apps = rule("apps", &["daemonsets", "deployments", "replicasets", "statefulsets"]);
    let constraints = json!({
        "resourceRules": [apps, rule("batch", &["jobs"])],
        "namespaceSelector": {"matchLabels": {"team": "a"}},
    });
    assert_eq!(spec["matchConstraints"], constraints);
    let expression = spec["validations"][0]["expression"].as_str().expect("a text");
    assert!(expression.contains("object.spec.template.metadata.labels.app"), "{expression}");
}

#[test]
fn a_namespace_stays_the_controllers_own() {
    let set = PolicySet::new(
        Origin::Admission,
        [compiled(
            "policy",
            json!({"validations": [{
                "expression": "object.metadata.namespace == 'shop' \
                               && object.metadata.?namespaceOfBirth.orValue('x') == 'x'",
            }]}),
        )],
        [],
    );
    let mut deployment = controller("Deployment", "web", "web");
    deployment["object"]["metadata"]["namespace"] = json!("shop");
    assert_eq!(judge(&set, &deployment), Some(RuleResult::Pass));
}

#[test]
fn conditions_are_of_the_webhook_where_they_are_for_all_that_it_matches() {
    let pods = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"]}]);
    let about = |field: &str, value: Value| json!({"resourceRules": pods, field: value});
    let selector = json!({"matchLabels": {"a": "b"}});
    let named = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"],
        "resources": ["pods"], "resourceNames": ["a"]}]);
    for (constraints, condition, expected) in [
        (about("matchPolicy", json!("Equivalent")), "request.operation == 'CREATE'", true),
        (about("objectSelector", json!({})), "true", true),
        (about("matchPolicy", json!("Equivalent")), "object.spec.x == 1", false),
        (about("objectSelector", selector.clone()), "true", false),
        (about("namespaceSelector", selector), "true", false),
        (about("excludeResourceRules", pods.clone()), "true", false),
        (json!({"resourceRules": named}), "true", false),
    ] {
        let policy = compiled(
            "p",
            json!({
                "matchConstraints": constraints,
                "matchConditions": [{"name": "c", "expression": condition}],
            }),
        );
        assert_eq!(policy.conditions_are_of_the_webhook(), expected, "{constraints} {condition}");
    }
}
