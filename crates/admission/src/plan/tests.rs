use pharos_api::policy::FailurePolicy;
use serde_json::{Value, json};

use super::*;
use crate::testing::{observed, policy};

fn resources(served: &[(&str, &str, &str)]) -> Resources {
    let groups = served.iter().map(|(group, version, plural)| {
        let resource = json!({"resource": plural, "responseKind": {"kind": "K"}});
        json!({
            "metadata": {"name": group},
            "versions": [{"version": version, "resources": [resource]}],
        })
    });
    let groups: Vec<_> = groups.collect();
    serde_json::from_value::<Vec<_>>(json!(groups)).unwrap().into_iter().collect()
}

fn about(group: &str, version: &str, plural: &str) -> Value {
    json!({"resourceRules": [{
        "apiGroups": [group], "apiVersions": [version], "resources": [plural],
        "operations": ["CREATE"],
    }]})
}

fn planned(policies: Vec<(&str, Value)>, resources: &Resources) -> Vec<(String, Vec<String>)> {
    let policies = policies.into_iter().map(|(name, spec)| policy(name, spec));
    let policies = Policies::default().succeed(&observed(policies));
    let plan = Plan::of(&policies, resources, &|policy| policy.name().starts_with("own"));
    let names = |policies: &[Arc<CompiledPolicy>]| {
        policies.iter().map(|policy| policy.name().to_owned()).collect()
    };
    plan.webhooks().map(|(endpoint, it)| (endpoint.path(), names(&it.policies))).collect()
}

fn lines(planned: &[(String, Vec<String>)]) -> Vec<String> {
    planned.iter().map(|(path, names)| format!("{path}: {}", names.join(" "))).collect()
}

#[test]
fn policies_share_a_webhook_where_that_is_sound() {
    let hpa = [("autoscaling", "v1", "hpas"), ("autoscaling", "v2", "hpas")];
    let fail = json!({"failurePolicy": "Fail"});
    let constraints = |value: Value| json!({"matchConstraints": value});
    let v1 = || constraints(about("autoscaling", "v1", "hpas"));
    let v2 = || constraints(about("autoscaling", "v2", "hpas"));
    let scale = || constraints(about("autoscaling", "v1", "hpas/scale"));
    let any = || constraints(about("*", "*", "*/*"));
    let mut exact = about("autoscaling", "v1", "hpas");
    exact["matchPolicy"] = json!("Exact");
    type Named = Vec<(&'static str, Value)>;
    let cases: [(&str, Named, &[&str]); 8] = [
        ("one", vec![("a", json!({}))], &["/validate/ignore: a"]),
        (
            "failure policies",
            vec![("a", json!({})), ("b", fail.clone()), ("c", fail)],
            &["/validate/ignore: a", "/validate/fail: b c"],
        ),
        (
            "its own",
            vec![("a", json!({})), ("own", json!({}))],
            &["/validate/ignore: a", "/validate/ignore/validatingpolicies/own: own"],
        ),
        (
            "versions that differ",
            vec![("a", v1()), ("b", v2()), ("c", v1()), ("d", json!({}))],
            &["/validate/ignore: a c d", "/validate/ignore/1: b"],
        ),
        (
            "a part of it",
            vec![("a", v2()), ("b", scale())],
            &["/validate/ignore: a", "/validate/ignore/1: b"],
        ),
        (
            "any version",
            vec![("a", any()), ("b", v2()), ("c", any())],
            &["/validate/ignore: a c", "/validate/ignore/1: b"],
        ),
        (
            "exact",
            vec![("a", v2()), ("b", constraints(exact.clone())), ("c", constraints(exact))],
            &["/validate/ignore: a", "/validate/ignore/exact: b c"],
        ),
        (
            "a version that is not served",
            vec![("a", v2()), ("b", constraints(about("autoscaling", "v3", "hpas")))],
            &["/validate/ignore: a b"],
        ),
    ];
    for (what, policies, expected) in cases {
        assert_eq!(lines(&planned(policies, &resources(&hpa))), expected, "{what}");
    }
    let one_version = resources(&hpa[..1]);
    assert_eq!(
        lines(&planned(vec![("a", v1()), ("b", any())], &one_version)),
        ["/validate/ignore: a b"]
    );
}

#[test]
fn there_are_never_many_webhooks() {
    let versions: Vec<_> = (0..40).map(|it| format!("v{it}")).collect();
    let served: Vec<_> = versions.iter().map(|version| ("g", &**version, "rs")).collect();
    let names: Vec<_> = (0..40).map(|it| format!("p{it:02}")).collect();
    let policies = names.iter().zip(&versions);
    let policies = policies
        .map(|(name, version)| (&**name, json!({"matchConstraints": about("g", version, "rs")})));
    let planned = planned(policies.collect(), &resources(&served));
    assert_eq!(planned.len(), 8);
    assert_eq!(planned.iter().map(|(_, names)| names.len()).sum::<usize>(), 40);
    assert!(planned.iter().all(|(path, _)| {
        Endpoint::parse(path).is_some_and(|it| it.failure_policy == FailurePolicy::Ignore)
    }));
}
