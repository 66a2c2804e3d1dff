use serde_json::{Value, json};

use super::*;

fn merged(policies: &[Value]) -> Vec<String> {
    let lists: Vec<Vec<NamedRuleWithOperations>> =
        policies.iter().map(|rules| serde_json::from_value(rules.clone()).unwrap()).collect();
    let line = |list: &Option<Vec<String>>| list.as_ref().unwrap().join(",");
    union(lists.iter().flatten())
        .iter()
        .map(|rule| {
            format!(
                "{}/{}/{} {} {}",
                line(&rule.api_groups),
                line(&rule.api_versions),
                line(&rule.resources),
                rule.scope.as_ref().unwrap(),
                line(&rule.operations),
            )
        })
        .collect()
}

fn rule(group: &[&str], versions: &[&str], resources: &[&str], operations: &[&str]) -> Value {
    json!({
        "apiGroups": group, "apiVersions": versions,
        "resources": resources, "operations": operations,
    })
}

#[test]
fn rules_about_the_same_are_united() {
    let cases: [(&str, Vec<Value>, &[&str]); 10] = [
        ("none", vec![json!([])], &[]),
        (
            "one",
            vec![json!([rule(&[""], &["v1"], &["pods"], &["CREATE"])])],
            &["/v1/pods * CREATE"],
        ),
        (
            "operations of two policies",
            vec![
                json!([rule(&[""], &["v1"], &["pods"], &["UPDATE", "CREATE"])]),
                json!([rule(&[""], &["v1"], &["pods"], &["DELETE", "CREATE"])]),
            ],
            &["/v1/pods * CREATE,DELETE,UPDATE"],
        ),
        (
            "any operation outdoes single ones, which would be refused beside it",
            vec![json!([rule(&[""], &["v1"], &["pods"], &["CREATE", "*"])])],
            &["/v1/pods * *"],
        ),
        (
            "lists that would be refused as they are",
            vec![json!([
                rule(&["apps", "*"], &["v1", "*"], &["pods", "*/*", "*", "pods/*"], &["CREATE"]),
                rule(&[""], &["v1"], &["pods", "*", "pods/log"], &["CREATE"]),
                rule(&[""], &["v1"], &["pods/log", "pods", "pods/*", "a/log"], &["CREATE"]),
                rule(&[""], &["v1"], &["pods/log", "pods/*", "*/log", "a/b"], &["CREATE"]),
            ])],
            &[
                "/v1/*,pods/log * CREATE",
                "/v1/*/log,a/b,pods/* * CREATE",
                "/v1/a/log,pods,pods/* * CREATE",
                "*/*/*/* * CREATE",
            ],
        ),
        (
            "lists in another order, with repetitions",
            vec![
                json!([rule(&["a", "b"], &["v1", "v2"], &["x", "y"], &["CREATE"])]),
                json!([rule(&["b", "a", "b"], &["v2", "v1"], &["y", "x", "y"], &["DELETE"])]),
            ],
            &["a,b/v1,v2/x,y * CREATE,DELETE"],
        ),
        (
            "overlapping lists stay apart",
            vec![json!([
                rule(&["a"], &["v1"], &["x", "y"], &["CREATE"]),
                rule(&["a"], &["v1"], &["x"], &["CREATE"]),
            ])],
            &["a/v1/x * CREATE", "a/v1/x,y * CREATE"],
        ),
        (
            "any operation of one policy",
            vec![
                json!([rule(&["a"], &["v1"], &["x"], &["CREATE"])]),
                json!([rule(&["a"], &["v1"], &["x"], &["*"])]),
            ],
            &["a/v1/x * *"],
        ),
        (
            "scopes stay apart",
            vec![json!([
                rule(&[""], &["v1"], &["*"], &["CREATE"]),
                {
                    "apiGroups": [""], "apiVersions": ["v1"], "resources": ["*"],
                    "operations": ["CREATE"], "scope": "Namespaced",
                },
            ])],
            &["/v1/* * CREATE", "/v1/* Namespaced CREATE"],
        ),
        (
            "what matches nothing is no rule, nor is what the API server would refuse",
            vec![json!([
                rule(&[""], &["v1"], &["pods"], &[]),
                rule(&[], &["v1"], &["pods"], &["CREATE"]),
                rule(&[""], &[""], &["pods"], &["CREATE"]),
                rule(&[""], &["v1"], &[""], &["CREATE"]),
            ])],
            &[],
        ),
    ];
    for (what, policies, expected) in cases {
        assert_eq!(merged(&policies), expected, "{what}");
    }
}

#[test]
fn the_longest_lists_make_one_rule() {
    let names = |prefix: &str, count| {
        (0..count).map(|index| format!("{prefix}{index}")).collect::<Vec<_>>()
    };
    let longest = json!([{
        "apiGroups": names("g", 64), "apiVersions": names("v", 64),
        "resources": names("r", 128), "operations": ["CREATE"],
    }]);
    assert_eq!(merged(&[longest]).len(), 1);
}
