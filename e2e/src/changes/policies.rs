//! Policies of every kind that is scanned, with what in them is drawn.

use fastrand::Rng;
use serde_json::{Value, json};

use super::{Change, resource};

const VALIDATING: &str = "policies.kyverno.io/v1";
const RULES: &str = "kyverno.io/v1";
/// Where the policies of one namespace are.
const HOME: &str = "amber";

type Drawn = fn(&mut Rng) -> Value;

/// A policy: its kind, its namespace, its name, and how it is drawn.
const EVERY: [(&str, &str, Option<&str>, &str, Drawn); 7] = [
    (VALIDATING, "ValidatingPolicy", None, "labelled", |random| labelled(said(random))),
    (VALIDATING, "ValidatingPolicy", None, "of-a-team", of_a_team),
    (VALIDATING, "ValidatingPolicy", None, "namespaces-have-teams", namespaces),
    (VALIDATING, "ValidatingPolicy", None, "sized", sized),
    (VALIDATING, "NamespacedValidatingPolicy", Some(HOME), "small", small),
    (RULES, "ClusterPolicy", None, "rules", |random| rules(random, "ClusterPolicy", None)),
    (RULES, "Policy", Some(HOME), "rules", |random| rules(random, "Policy", Some(HOME))),
];

/// All of them.
pub(super) fn every(random: &mut Rng) -> Vec<Value> {
    EVERY.iter().map(|(.., drawn)| drawn(random)).collect()
}

/// One of them, as it was or not.
pub(super) fn draw(random: &mut Rng) -> Value {
    let (.., drawn) = EVERY[random.usize(..EVERY.len())];
    drawn(random)
}

/// That there is one less.
pub(super) fn delete(random: &mut Rng) -> Change {
    let (version, kind, namespace, name, _) = EVERY[random.usize(..EVERY.len())];
    Change::Delete(resource(version, kind), namespace, name)
}

/// An exception from one of those that can have any, for objects of one name.
pub(super) fn exception(random: &mut Rng, namespace: &str, name: &str) -> Value {
    let exempted = ["labelled", "of-a-team", "namespaces-have-teams"][random.usize(..3)];
    json!({
        "apiVersion": VALIDATING, "kind": "PolicyException",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "policyRefs": [{"kind": "ValidatingPolicy", "name": exempted}],
            "matchConditions": [{"name": "named", "expression": format!("object.metadata.name == '{name}'")}],
        },
    })
}

/// Pods have labels, and by what is generated for controllers, so have those of Deployments. Another
/// message makes all results others, those that are passed, too.
pub(super) fn labelled(message: &str) -> Value {
    let annotations = json!({"policies.kyverno.io/category": message});
    json!({
        "apiVersion": VALIDATING, "kind": "ValidatingPolicy",
        "metadata": {"name": "labelled", "annotations": annotations},
        "spec": {
            "validationActions": ["Audit"],
            "matchConstraints": {"resourceRules": [created("", "pods")]},
            "validations": [{"expression": "has(object.metadata.labels) && 'app' in object.metadata.labels", "message": message}],
        },
    })
}

fn of_a_team(random: &mut Rng) -> Value {
    let team = ["web", "data"][random.usize(..2)];
    json!({
        "apiVersion": VALIDATING, "kind": "ValidatingPolicy", "metadata": {"name": "of-a-team"},
        "spec": {
            "validationActions": ["Audit"],
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"team": team}},
                "resourceRules": [created("example.com", "widgets")],
            },
            "validations": [{"expression": "object.spec.?team.orValue('') == namespaceObject.metadata.labels.team", "message": said(random)}],
        },
    })
}

fn namespaces(random: &mut Rng) -> Value {
    let scored = ["true", "false"][random.usize(..2)];
    let labels = [json!({}), json!({"reports.kyverno.io/disabled": "true"})];
    let label = &labels[usize::from(random.u32(..4) == 0)];
    let annotations = json!({"policies.kyverno.io/scored": scored});
    json!({
        "apiVersion": VALIDATING, "kind": "ValidatingPolicy",
        "metadata": {"name": "namespaces-have-teams", "labels": label, "annotations": annotations},
        "spec": {
            "validationActions": ["Audit"],
            "matchConstraints": {"resourceRules": [created("", "namespaces")]},
            "validations": [{"expression": "'team' in object.metadata.labels", "message": said(random)}],
        },
    })
}

/// The only one that is about ConfigMaps.
pub(super) fn sized(random: &mut Rng) -> Value {
    json!({
        "apiVersion": VALIDATING, "kind": "ValidatingPolicy", "metadata": {"name": "sized"},
        "spec": {
            "validationActions": ["Audit"],
            "matchConstraints": {"resourceRules": [created("", "configmaps")]},
            "validations": [{"expression": "int(object.data.size) < 3", "message": said(random)}],
        },
    })
}

fn small(random: &mut Rng) -> Value {
    let size = random.u32(1..6);
    json!({
        "apiVersion": VALIDATING, "kind": "NamespacedValidatingPolicy",
        "metadata": {"name": "small", "namespace": HOME},
        "spec": {
            "validationActions": ["Audit"],
            "matchConstraints": {"resourceRules": [created("example.com", "widgets")]},
            "matchConditions": [{"name": "sized", "expression": "object.spec.size > 0"}],
            "validations": [{"expression": format!("object.spec.size < {size}"), "message": said(random)}],
        },
    })
}

fn rules(random: &mut Rng, kind: &str, namespace: Option<&str>) -> Value {
    let kinds = [["Pod", "Widget"], ["Deployment", "Widget"]][random.usize(..2)];
    let about = json!({"any": [{"resources": {"kinds": kinds}}]});
    let preconditions = json!([{"name": "x", "expression": "object.metadata.name != 'x'"}]);
    let validate = |expression: &str, message: &str| json!({"cel": {"expressions": [{"expression": expression, "message": message}]}});
    let (few, named) = (said(random), said(random));
    json!({
        "apiVersion": RULES, "kind": kind, "metadata": {"name": "rules", "namespace": namespace},
        "spec": {
            "background": random.u32(..4) > 0,
            "rules": [
                {"name": "few", "match": about, "validate": validate("size(object.spec) < 2", few)},
                {"name": "named", "match": about, "celPreconditions": preconditions,
                    "validate": validate("object.metadata.name == 'y'", named)},
            ],
        },
    })
}

fn created(group: &str, resource: &str) -> Value {
    json!({"apiGroups": [group], "apiVersions": ["v1"], "resources": [resource], "operations": ["CREATE", "UPDATE"]})
}

fn said(random: &mut Rng) -> &'static str {
    ["no", "never", "not so"][random.usize(..3)]
}
