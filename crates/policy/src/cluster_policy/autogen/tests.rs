use serde_json::{Value, json};

use super::*;

fn spec(rules: Value) -> ClusterPolicySpec {
    serde_json::from_value(json!({"rules": rules})).unwrap()
}

fn for_pods(resources: Value) -> Value {
    json!([{
        "name": "r", "match": {"any": [{"resources": resources}]},
        "validate": {"message": "m", "cel": {"expressions": [{"expression": "true"}]}},
    }])
}

/// Name and kinds of what is generated.
fn names(spec: &ClusterPolicySpec, annotation: Option<&str>) -> Vec<(String, Vec<String>)> {
    let kinds = |rule: &PolicyRule| {
        descriptions(&rule.matches).flat_map(|it| it.kinds.clone()).collect::<Vec<_>>()
    };
    generate(spec, annotation).iter().map(|it| (it.rule.name.clone(), kinds(&it.rule))).collect()
}

#[test]
fn rules_for_pods_are_generated_for_all_that_has_pods_or_for_what_the_annotation_names() {
    let spec = spec(for_pods(json!({"kinds": ["Pod"]})));
    let all = [
        "apps/v1/DaemonSet",
        "apps/v1/Deployment",
        "batch/v1/Job",
        "apps/v1/ReplicaSet",
        "v1/ReplicationController",
        "apps/v1/StatefulSet",
    ];
    let owned = |kinds: &[&str]| kinds.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let cron_job = ("autogen-cronjob-r".to_owned(), owned(&["batch/v1/CronJob"]));
    assert_eq!(names(&spec, None), [("autogen-r".to_owned(), owned(&all)), cron_job.clone()]);
    assert_eq!(names(&spec, Some("CronJob,x")), [cron_job]);
    let one = [("autogen-r".to_owned(), owned(&["batch/v1/Job"]))];
    assert_eq!(names(&spec, Some("Job")), one);
    for nothing in ["none", "", "deployments"] {
        assert_eq!(names(&spec, Some(nothing)), [], "{nothing:?}");
    }
}

#[test]
fn nothing_is_generated_where_a_rule_says_which_pods() {
    for resources in [
        json!({"kinds": ["Pod"], "names": ["a"]}),
        json!({"kinds": ["Pod"], "name": "a"}),
        json!({"kinds": ["Pod"], "selector": {}}),
        json!({"kinds": ["Pod"], "annotations": {"a": "b"}}),
        json!({"kinds": ["Pod", "Service"]}),
        json!({"kinds": ["Service"]}),
        json!({"kinds": ["Pod/exec"]}),
    ] {
        assert_eq!(names(&spec(for_pods(resources.clone())), None), [], "{resources}");
    }
    let namespaces = json!({"kinds": ["Pod"], "namespaces": ["a"]});
    assert_eq!(names(&spec(for_pods(namespaces)), None).len(), 2);

    let mut others = for_pods(json!({"kinds": ["Pod"]}));
    others[0]["exclude"] = json!({"any": [{"resources": {"kinds": ["Service"]}}]});
    assert_eq!(names(&spec(others), None), [], "an exclude without Pods");
    let mut generating = for_pods(json!({"kinds": ["Pod"]}));
    generating[0]["generate"] = json!({});
    assert_eq!(names(&spec(generating), None), []);
    let mut generated = for_pods(json!({"kinds": ["Pod"]}));
    generated[0]["name"] = json!("autogen-r");
    assert_eq!(names(&spec(generated), None), []);
}

#[test]
fn the_fields_of_pods_become_those_of_templates_everywhere_in_a_rule() {
    let spec = spec(json!([{
        "name": "r".repeat(63),
        "match": {"any": [{"resources": {"kinds": ["Pod"]}}, {"resources": {"kinds": ["Service"]}}]},
        "exclude": {"any": [{"subjects": [{"kind": "User", "name": "u"}]}]},
        "celPreconditions": [{"name": "c", "expression": "has(oldObject.metadata.labels)"}],
        "validate": {"cel": {
            "variables": [{"name": "v", "expression": "request.object.spec.containers"}],
            "expressions": [{
                "expression": "object.spec.a && oldObject.spec.b && object.metadata.name == 'n'",
                "message": "see object.spec.a",
            }],
        }},
    }]));
    let generated = generate(&spec, None);
    let text = |index: usize| serde_json::to_value(&generated[index].rule).unwrap();
    let cel = |rule: &Value| rule["validate"]["cel"]["expressions"][0].clone();
    assert_eq!(
        cel(&text(0)),
        json!({
            "expression": "object.spec.template.spec.a && oldObject.spec.template.spec.b && \
                           object.spec.template.metadata.name == 'n'",
            "message": "see object.spec.template.spec.a",
        })
    );
    assert_eq!(
        text(0)["celPreconditions"][0]["expression"],
        "has(oldObject.spec.template.metadata.labels)"
    );
    assert_eq!(
        text(1)["validate"]["cel"]["variables"][0]["expression"],
        "request.object.spec.jobTemplate.spec.template.spec.containers"
    );
    assert_eq!(text(0)["name"].as_str().unwrap().len(), 63);
    let kinds = |index: usize| {
        let filters = &generated[index].rule.matches.any;
        filters.iter().map(|it| it.resources.as_ref().unwrap().kinds.len()).collect::<Vec<_>>()
    };
    assert_eq!((kinds(0), kinds(1)), (vec![6, 1], vec![1, 1]));
    assert_eq!(text(0)["exclude"]["any"][0]["resources"], Value::Null);
    assert_eq!(generated[1].kinds, ["CronJob"]);
}
