use serde_json::{Value, json};

use pharos_policy::Origin;
use pharos_policy_cache::Policies;
use pharos_policy_cache::testing::{observed, policy};

use super::*;

fn served() -> Resources {
    let of = |plural: &str, kind: &str, scope: &str, verbs: &[&str]| json!({"resource": plural, "responseKind": {"kind": kind}, "scope": scope, "verbs": verbs});
    let all = ["create", "list", "watch"];
    let deployments = of("deployments", "Deployment", "Namespaced", &all);
    let groups = json!([
        {"metadata": {}, "versions": [{"version": "v1", "resources": [
            of("pods", "Pod", "Namespaced", &all),
            of("nodes", "Node", "Cluster", &all),
            of("events", "Event", "Namespaced", &all),
            of("bindings", "Binding", "Namespaced", &["create"]),
        ]}]},
        {"metadata": {"name": "apps"}, "versions": [
            {"version": "v1", "resources": [deployments.clone()]},
            {"version": "v1beta1", "resources": [deployments]},
        ]},
        {"metadata": {"name": "wgpolicyk8s.io"}, "versions": [{"version": "v1alpha2", "resources": [
            of("policyreports", "PolicyReport", "Namespaced", &all),
        ]}]},
    ]);
    serde_json::from_value::<Vec<_>>(groups).unwrap().into_iter().collect()
}

fn about(name: &str, group: &str, version: &str, resource: &str, operation: &str) -> Value {
    let constraints = json!({"resourceRules": [{
        "apiGroups": [group], "apiVersions": [version], "resources": [resource],
        "operations": [operation],
    }]});
    json!({"name": name, "spec": {"matchConstraints": constraints, "autogen": {
        "podControllers": {"controllers": []}}}})
}

fn set(policies: &[Value]) -> PolicySet {
    let of = |it: &Value| policy(it["name"].as_str().unwrap(), it["spec"].clone());
    Policies::default().succeed(&observed(policies.iter().map(of))).background_set()
}

fn targets(policies: &[Value]) -> Vec<String> {
    Plan::of(&set(policies), &served()).targets.iter().map(ToString::to_string).collect()
}

#[test]
fn what_policies_name_is_scanned_as_it_is_served() {
    assert_eq!(targets(&[about("a", "", "v1", "pods", "CREATE")]), ["pods.v1"]);
    assert_eq!(targets(&[about("a", "", "v1", "nodes", "*")]), ["nodes.v1"]);
    assert_eq!(targets(&[about("a", "example.com", "v1", "oxen", "*")]), [""; 0]);
    assert_eq!(targets(&[]), [""; 0]);
}

#[test]
fn what_cannot_be_listed_is_a_report_or_an_event_is_not_scanned() {
    let everything = about("a", "*", "*", "*", "*");
    assert_eq!(targets(&[everything]), ["nodes.v1", "pods.v1", "deployments.v1.apps"]);
}

#[test]
fn a_policy_about_no_creation_is_about_nothing_that_a_scan_asks() {
    assert_eq!(targets(&[about("a", "", "v1", "pods", "DELETE")]), [""; 0]);
    assert_eq!(targets(&[about("a", "", "v1", "pods/exec", "CONNECT")]), [""; 0]);
}

#[test]
fn a_resource_is_read_in_one_version_and_who_does_not_name_it_is_told_of() {
    let policies = [
        about("new", "apps", "v1", "deployments", "*"),
        about("any", "apps", "*", "deployments", "*"),
        about("old", "apps", "v1beta1", "deployments", "*"),
    ];
    let plan = Plan::of(&set(&policies), &served());
    let told: Vec<_> = plan.targets.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["deployments.v1.apps"]);
    let unasked: Vec<_> = plan.unasked.iter().map(|it| &*it.policy.name).collect();
    assert_eq!(unasked, ["old"]);
    let old = [about("old", "apps", "v1beta1", "deployments", "*")];
    assert_eq!(targets(&old), ["deployments.v1beta1.apps"], "nobody names a newer one");
}

#[test]
fn versions_are_preferred_as_the_api_server_prefers_them() {
    let mut versions = ["v1beta1", "v2alpha1", "v1", "foo", "v10", "v1beta2", "v2"];
    versions.sort_by_key(|version| std::cmp::Reverse(Stability::of(version)));
    assert_eq!(versions, ["v10", "v2", "v1", "v1beta2", "v1beta1", "v2alpha1", "foo"]);
}

#[test]
fn a_change_concerns_what_the_changed_policies_are_about() {
    let plan = Plan::of(&set(&[about("a", "", "v1", "pods", "*")]), &served());
    let pods = plan.targets.first().unwrap();
    let changed = set(&[about("b", "", "v1", "nodes", "*")]);
    assert_eq!(concerned(pods, changed.iter()), Concern::Nothing);
    let changed = set(&[about("b", "*", "*", "*", "*")]);
    assert_eq!(concerned(pods, changed.iter()), Concern::Everything);
}

#[test]
fn a_policy_of_a_namespace_concerns_what_is_in_it() {
    let plan = Plan::of(&set(&[about("a", "", "v1", "pods", "*")]), &served());
    let pods = plan.targets.first().unwrap();
    let namespaced = |namespace: &str| {
        let mut whole = serde_json::to_value(policy("n", json!({}))).unwrap();
        whole["kind"] = json!("NamespacedValidatingPolicy");
        whole["metadata"]["namespace"] = json!(namespace);
        let policy = serde_json::from_value(whole).unwrap();
        let lookups = pharos_policy::Lookups::Refused;
        pharos_policy::compile_namespaced_validating_policy(&policy, &lookups).unwrap()
    };
    let compiled = ["a", "b"].map(|namespace| Arc::new(namespaced(namespace)));
    let set = PolicySet::new(Origin::BackgroundScan, compiled, []);
    let concern = concerned(pods, set.iter());
    assert_eq!(concern, Concern::Namespaces(["a".into(), "b".into()].into()));
    assert!(concern.is_about("a") && !concern.is_about("c") && !concern.is_about(""));
    let everything = Concern::Everything;
    assert_eq!(concern.clone().and(everything), Concern::Everything);
    assert_eq!(Concern::Nothing.and(concern.clone()), concern);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_for_a_moment_is_still_scanned_and_what_no_policy_names_is_not() {
    let start = tokio::time::Instant::now();
    let at = |seconds| start + std::time::Duration::from_secs(seconds);
    let policies = set(&[about("a", "", "v1", "pods", "*")]);
    let full = Plan::of(&policies, &served());
    let none = || Plan::of(&policies, &Resources::default());
    let mut patience = Patience::default();
    let mut kept = |before: &Plan, policies: &PolicySet, seconds: u64| {
        let mut plan = none();
        patience.keep(&mut plan, before, policies, at(seconds));
        (plan.targets == full.targets, patience.is_tried())
    };
    assert_eq!(kept(&full, &policies, 0), (true, true));
    assert_eq!(kept(&full, &policies, 59), (true, true));
    assert_eq!(kept(&full, &policies, 60), (false, true));
    assert_eq!(kept(&full, &set(&[]), 61), (false, false), "no policy is about it any more");
}
