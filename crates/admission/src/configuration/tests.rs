use pharos_policy::Json;
use serde_json::{Value, json};

use super::*;

fn configuration(entries: &[(&str, &str)]) -> Configuration {
    let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Configuration::parse(&entries.collect())
}

fn review(kind: [&str; 3], resource: [&str; 2], namespace: &str, name: &str) -> Value {
    let [group, version, kind] = kind;
    let [resource, sub_resource] = resource;
    json!({
        "uid": "1", "operation": "CREATE", "name": name, "namespace": namespace,
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": group, "version": version, "resource": resource},
        "subResource": sub_resource,
        "userInfo": {"username": "jane", "groups": ["shop:devs", "system:authenticated"]},
    })
}

fn pod(namespace: &str, name: &str) -> Value {
    review(["", "v1", "Pod"], ["pods", ""], namespace, name)
}

fn filters(configuration: &Configuration, review: &Value) -> bool {
    let review = Json::from(review.clone());
    configuration.filters(&Request::parse(&review).unwrap(), &Roles::default())
}

#[test]
fn a_resource_filter_is_about_kind_namespace_and_name() {
    let deployment = review(["apps", "v1", "Deployment"], ["deployments", ""], "shop", "web");
    let scale = review(["autoscaling", "v1", "Scale"], ["deployments", "scale"], "shop", "web");
    let binding = review(["", "v1", "Binding"], ["pods", "binding"], "shop", "web");
    let namespace = review(["", "v1", "Namespace"], ["namespaces", ""], "shop", "shop");
    let policy = review(
        ["networking.k8s.io", "v1", "NetworkPolicy"],
        ["networkpolicies", "status"],
        "a",
        "b",
    );
    for (filter, review, expected) in [
        ("[Pod,*,*]", &pod("shop", "web"), true),
        ("[Pod,shop,web-?]", &pod("shop", "web-1"), true),
        ("[Pod,shop,web-?]", &pod("shop", "web-12"), false),
        ("[Pod,kube-*,*]", &pod("shop", "web"), false),
        ("[Pod, shop , web]", &pod("shop", "web"), true),
        ("[*,shop,*]", &pod("shop", "web"), true),
        ("[*,shop,*]", &scale, false),
        ("[*/*,shop,*]", &scale, true),
        ("[Pod/*,*,*]", &binding, true),
        ("[Pod/?*,*,*]", &pod("shop", "web"), false),
        ("[Pod/*,*,*]", &pod("shop", "web"), true),
        ("[Pod/binding,*,*]", &binding, true),
        ("[*/binding,*,*]", &binding, true),
        ("[Pod.binding,*,*]", &binding, true),
        ("[Binding,*,*]", &binding, false),
        ("[NetworkPolicy/status,*,*]", &policy, true),
        ("[v1/Pod,*,*]", &pod("a", "b"), true),
        ("[v1beta1/Pod,*,*]", &pod("a", "b"), false),
        ("[apps/v1/Deployment,*,*]", &deployment, true),
        ("[apps/*/Deployment/scale,*,*]", &deployment, false),
        ("[batch/v1/*,*,*]", &deployment, false),
        ("[*,shop,*]", &namespace, true),
        ("[Namespace,sh*,nothing]", &namespace, true),
        ("[Pod,shop,*]", &namespace, false),
        ("[Pod]", &pod("shop", "web"), false),
        ("", &pod("shop", "web"), false),
    ] {
        let configuration = configuration(&[("resourceFilters", filter)]);
        assert_eq!(filters(&configuration, review), expected, "{filter} {review}");
    }
}

#[test]
fn a_bad_entry_is_said_and_the_others_hold() {
    let text = "[Pod,a,*] [Pod,b,c,d][,x,*] stray [Secret] [ConfigMap,*,*";
    let configuration = configuration(&[("resourceFilters", text)]);
    assert!(filters(&configuration, &pod("a", "x")));
    assert!(
        !filters(&configuration, &pod("b", "c")),
        "Kyverno would take the entry before it twice"
    );
    let said: Vec<_> = configuration.problems.iter().map(ToString::to_string).collect();
    for (problem, part) in said.iter().zip([
        "[Pod,b,c,d]: it has more parts",
        "[,x,*]: its kind is not one",
        "\"stray\" is outside of brackets",
        "[Secret] matches only what has no namespace",
        "\"ConfigMap,*,*\" has no end",
    ]) {
        assert!(problem.starts_with("resourceFilters: ") && problem.contains(part), "{problem}");
    }
    assert_eq!(said.len(), 5);
}

#[test]
fn who_is_excluded_is_not_if_he_is_included() {
    let excluded = |entries: &[_]| filters(&configuration(entries), &pod("shop", "web"));
    assert!(excluded(&[("excludeUsernames", " jo*, ja?e")]));
    assert!(excluded(&[("excludeGroups", "shop:*")]));
    assert!(!excluded(&[("excludeGroups", "shop:*,!system:authenticated")]));
    assert!(!excluded(&[("excludeGroups", "shop:*"), ("excludeUsernames", "!jane")]));
    assert!(!excluded(&[("excludeGroups", "system:nodes")]));
    let filter = ("resourceFilters", "[Pod,*,*]");
    assert!(excluded(&[("excludeUsernames", "!jane"), filter]), "the object counts for itself");
}

#[test]
fn roles_are_asked_for_only_where_they_count() {
    let by_name = configuration(&[("excludeUsernames", "jane")]);
    assert!(!by_name.needs_roles() && !Configuration::default().needs_roles());
    let by_role = configuration(&[("excludeRoles", "shop:admin"), ("excludeClusterRoles", "edit")]);
    assert!(by_role.needs_roles());
    let review = Json::from(pod("shop", "web"));
    let request = Request::parse(&review).unwrap();
    let of = |roles: &[&str], cluster_roles: &[&str]| Roles {
        roles: roles.iter().map(|it| (*it).to_owned()).collect(),
        cluster_roles: cluster_roles.iter().map(|it| (*it).to_owned()).collect(),
    };
    assert!(by_role.filters(&request, &of(&["shop:admin"], &[])));
    assert!(by_role.filters(&request, &of(&[], &["edit"])));
    assert!(!by_role.filters(&request, &of(&["edit"], &["shop:admin"])));
}

#[test]
fn without_a_config_map_what_kyvernos_chart_filters_is_filtered() {
    let default = Configuration::default();
    assert_eq!(default.problems, []);
    assert!(filters(&default, &pod("kube-system", "dns")));
    assert!(!filters(&default, &pod("shop", "web")));
    let set = review(["apps", "v1", "ReplicaSet"], ["replicasets", ""], "shop", "web");
    assert!(filters(&default, &set));
    let mut mirror = pod("shop", "etcd-node");
    mirror["userInfo"]["groups"] = json!(["system:nodes"]);
    assert!(filters(&default, &mirror));
}

#[test]
fn what_concerns_events_is_read_and_what_cannot_be_is_said() {
    let good = configuration(&[
        ("webhooks", "of no concern"),
        ("generateSuccessEvents", "true"),
        ("successEventActions", "Resource Passed, "),
        ("defaultRegistry", "docker.io"),
    ]);
    assert_eq!(good.problems, []);
    assert!(good.success_events.tell("Resource Passed"));
    assert!(!good.success_events.tell("Resource Blocked"));
    assert!(!Configuration::default().success_events.tell("Resource Passed"));

    let bad = configuration(&[("generateSuccessEvents", "x")]);
    let keys: Vec<_> = bad.problems.iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["generateSuccessEvents"]);
}

#[test]
fn a_hostile_config_map_is_bounded() {
    let long = "[Pod,a,b]".repeat(MOST_ENTRIES + 1) + &"x,".repeat(1_000) + &"[".repeat(100_000);
    let configuration =
        configuration(&[("resourceFilters", &long), ("excludeGroups", &"a,".repeat(10_000))]);
    assert_eq!(configuration.filters.len(), MOST_ENTRIES);
    assert!(configuration.problems.len() <= MOST_PROBLEMS);
    assert!(configuration.problems.iter().all(|problem| problem.message.len() < 300));
}
