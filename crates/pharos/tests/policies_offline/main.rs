//! `pharos test` and `pharos apply` as CI runs them: exit codes, and what is printed, without a
//! cluster.

mod clusters;
#[path = "../support/command.rs"]
mod command;

use std::fs;
use std::path::Path;

use anyhow::Context;
use command::{Ended, run};
use serde_json::Value;
use tempfile::TempDir;

fn pharos(folder: &Path, arguments: &[&str], input: &str) -> anyhow::Result<Ended> {
    run(command::pharos().args(arguments).current_dir(folder), input)
}

const LABELLED: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: labelled}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}
    namespaceSelector: {matchLabels: {env: prod}}
  validations:
  - {expression: \"has(object.metadata.labels) && 'team' in object.metadata.labels\", message: it needs a team}
";

const OWN_RULE: &str = "
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: no-data}
spec:
  rules:
  - name: empty
    match: {any: [{resources: {kinds: [ConfigMap], operations: [CREATE, UPDATE]}}]}
    validate:
      failureAction: Enforce
      cel: {expressions: [{expression: '!has(object.data)', message: no data}]}
";

const OBJECTS: &str = "
{apiVersion: v1, kind: ConfigMap, metadata: {name: good, namespace: shop, labels: {team: a}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: bad, namespace: shop}, data: {a: b}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: elsewhere, namespace: lab}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {env: prod}}}
";

const EXPECTED: &str = "
apiVersion: cli.kyverno.io/v1alpha1
kind: Test
metadata: {name: everything}
policies: [policies.yaml]
resources: [objects.yaml]
results:
- {policy: labelled, isValidatingPolicy: true, kind: ConfigMap, resources: [good], result: pass}
- {policy: labelled, isValidatingPolicy: true, kind: ConfigMap, resources: [shop/bad], result: fail}
- {policy: labelled, isValidatingPolicy: true, kind: ConfigMap, resources: [elsewhere], result: pass}
- {policy: no-data, rule: empty, kind: ConfigMap, resources: [bad], result: fail}
- {policy: no-data, rule: empty, kind: ConfigMap, resources: [good, elsewhere], result: pass}
";

/// A folder with a test in it.
fn folder(files: &[(&str, &str)]) -> anyhow::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let policies = format!("{LABELLED}---{OWN_RULE}");
    let common = [("policies.yaml", policies.as_str()), ("objects.yaml", OBJECTS)];
    for (name, text) in common.iter().chain(files) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(path, text)?;
    }
    Ok(folder)
}

#[test]
fn a_test_that_holds_ends_with_0_and_one_that_does_not_with_1() {
    let holds = folder(&[("kyverno-test.yaml", EXPECTED)]).unwrap();
    let ended = pharos(holds.path(), &["test", "."], "").unwrap();
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("v1/ConfigMap/shop/bad"), "{}", ended.stdout);
    assert!(ended.stdout.contains("Excluded"), "{}", ended.stdout);

    let wrong = EXPECTED.replacen("result: fail", "result: pass", 1);
    let fails = folder(&[("kyverno-test.yaml", &wrong)]).unwrap();
    let ended = pharos(fails.path(), &["test", ".", "--fail-only"], "").unwrap();
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("Want pass, got fail"), "{}", ended.stdout);
    assert!(ended.stdout.contains("it needs a team"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("shop/good"), "{}", ended.stdout);
}

#[test]
fn values_users_and_operations_reach_the_request() {
    let policy = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: who}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: ['*'], resources: [configmaps]}]
  validations:
  - expression: >-
      request.operation == 'DELETE' && !has(object.metadata) && oldObject.metadata.name == 'good'
      && request.userInfo.username == 'jane' && namespaceObject.metadata.labels.env == 'values'
";
    let test = "
apiVersion: cli.kyverno.io/v1alpha1
kind: Test
policies: [who.yaml]
resources: [objects.yaml]
variables: values.yaml
userinfo: user.yaml
results:
- {policy: who, kind: ConfigMap, resources: [good], result: pass, operation: DELETE}
- {policy: who, kind: ConfigMap, resources: [good], result: fail}
";
    let values = "{apiVersion: cli.kyverno.io/v1alpha1, kind: Values, globalValues: \
                  {request.operation: UPDATE}, namespaceSelector: [{name: shop, labels: {env: values}}]}";
    let user = "{apiVersion: cli.kyverno.io/v1alpha1, kind: UserInfo, userInfo: {username: jane}}";
    let files = [
        ("who.yaml", policy),
        ("kyverno-test.yaml", test),
        ("values.yaml", values),
        ("user.yaml", user),
    ];
    let folder = folder(&files).unwrap();
    let ended = pharos(folder.path(), &["test", "."], "").unwrap();
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    let apply = ["apply", "who.yaml", "-r", "-", "-f", "values.yaml", "-u", "user.yaml"];
    let good = OBJECTS.split("---").next().unwrap();
    let deleted = [&apply[..], &["--operation", "DELETE"]].concat();
    assert_eq!(pharos(folder.path(), &deleted, good).unwrap().code, 0);
    assert_eq!(pharos(folder.path(), &apply, good).unwrap().code, 1);
}

#[test]
fn what_cannot_be_checked_ends_with_2_and_says_why() {
    let mutating =
        "{apiVersion: policies.kyverno.io/v1, kind: MutatingPolicy, metadata: {name: m}}";
    let test = "{policies: [m.yaml], resources: [objects.yaml], \
                results: [{policy: m, kind: ConfigMap, resources: [good], result: pass}]}";
    let unsupported = folder(&[("m.yaml", mutating), ("kyverno-test.yaml", test)]).unwrap();
    let ended = pharos(unsupported.path(), &["test", "."], "").unwrap();
    assert_eq!(ended.code, 2, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("does not evaluate a MutatingPolicy"), "{}", ended.stdout);
    let allowed = pharos(unsupported.path(), &["test", ".", "--allow-unsupported"], "").unwrap();
    assert_eq!(allowed.code, 0, "{}{}", allowed.stdout, allowed.stderr);

    let broken = folder(&[("kyverno-test.yaml", "{policies: [nowhere.yaml]}")]).unwrap();
    let ended = pharos(broken.path(), &["test", "."], "").unwrap();
    assert_eq!(ended.code, 2, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("nowhere.yaml"), "{}", ended.stdout);

    let none = folder(&[]).unwrap();
    let ended = pharos(none.path(), &["test", "."], "").unwrap();
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("there is no kyverno-test.yaml"), "{}", ended.stderr);
}

#[test]
fn apply_says_what_each_rule_says_about_each_resource() {
    let folder = folder(&[]).unwrap();
    let arguments = ["apply", "policies.yaml", "--resource", "objects.yaml", "--output", "json"];
    let ended = pharos(folder.path(), &arguments, "").unwrap();
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    let said: Vec<_> = json["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let text = |pointer: &str| it.pointer(pointer).and_then(Value::as_str).unwrap();
            (text("/policy/name"), text("/resource/name"), text("/result"))
        })
        .collect();
    let expected = [
        ("labelled", "good", "pass"),
        ("no-data", "good", "pass"),
        ("labelled", "bad", "fail"),
        ("no-data", "bad", "fail"),
        ("no-data", "elsewhere", "pass"),
    ];
    assert_eq!(said, expected);
    assert_eq!(json["results"][3]["message"], "no data");
    assert_eq!(json["summary"]["fail"], 2);

    let table =
        pharos(folder.path(), &["apply", "policies.yaml", "-r", "objects.yaml"], "").unwrap();
    assert!(table.stdout.contains("ValidatingPolicy labelled"), "{}", table.stdout);
    assert!(table.stdout.contains("pass: 3, fail: 2"), "{}", table.stdout);
}

#[test]
fn an_exception_makes_a_skip_of_a_failure() {
    let exception = "
apiVersion: policies.kyverno.io/v1
kind: PolicyException
metadata: {name: but, namespace: shop}
spec:
  policyRefs: [{kind: ValidatingPolicy, name: labelled}]
  matchConditions: [{name: bad, expression: object.metadata.name == 'bad'}]
";
    let test = "
policies: [policies.yaml]
resources: [objects.yaml]
exceptions: [but.yaml]
results:
- {policy: labelled, kind: ConfigMap, resources: [bad], result: skip}
- {policy: labelled, kind: ConfigMap, resources: [good], result: pass}
";
    let folder = folder(&[("but.yaml", exception), ("kyverno-test.yaml", test)]).unwrap();
    let ended = pharos(folder.path(), &["test", "."], "").unwrap();
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
}

const LOOKING_UP: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: known-team}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  variables:
  - {name: teams, expression: \"resource.Get('v1', 'configmaps', 'hr', 'teams').data.names.split(',')\"}
  validations:
  - {expression: \"object.metadata.?labels.team.orValue('') in variables.teams\", message: no such team}
---
apiVersion: policies.kyverno.io/v1
kind: NamespacedValidatingPolicy
metadata: {name: one-gateway, namespace: shop}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations:
  - {expression: \"resource.List('gateway.networking.k8s.io/v1', 'gateways').items.size() == 1\"}
";

const CONTEXT: &str = "
apiVersion: cli.kyverno.io/v1alpha1
kind: Context
metadata: {name: context}
spec:
  resources:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: teams, namespace: hr}, data: {names: 'a,b'}}
  - {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: g, namespace: shop}}
  - {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: g, namespace: lab}}
";

const LOOKED_UP: &str = "
apiVersion: cli.kyverno.io/v1alpha1
kind: Test
policies: [looking-up.yaml]
resources: [objects.yaml]
context: context.yaml
results:
- {policy: known-team, kind: ConfigMap, resources: [good], result: pass}
- {policy: known-team, kind: ConfigMap, resources: [bad, elsewhere], result: fail}
- {policy: shop/one-gateway, kind: ConfigMap, resources: [good], result: pass}
";

#[test]
fn a_context_answers_what_policies_look_up_and_that_admission_refuses_them_is_told() {
    let folder = folder(&[
        ("looking-up.yaml", LOOKING_UP),
        ("context.yaml", CONTEXT),
        ("kyverno-test.yaml", LOOKED_UP),
    ])
    .unwrap();
    let ended = pharos(folder.path(), &["test", "."], "").unwrap();
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(!ended.stdout.contains("Excluded"), "{}", ended.stdout);
    let refused = "ValidatingPolicy known-team needs the context; admission refuses it: \
                   spec.variables[0].expression at 1:13: there is no function resource.Get";
    assert!(ended.stdout.contains(refused), "{}", ended.stdout);
    assert!(ended.stdout.contains("; 2 policies need a context"), "{}", ended.stdout);

    let apply = ["apply", "looking-up.yaml", "-r", "objects.yaml"];
    let with = [&apply[..], &["--context-file", "context.yaml"]].concat();
    let applied = pharos(folder.path(), &with, "").unwrap();
    assert_eq!(applied.code, 1, "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stdout.contains("no such team"), "{}", applied.stdout);
    assert!(applied.stdout.contains(refused), "{}", applied.stdout);

    // Without a context it is as in admission.
    let applied = pharos(folder.path(), &apply, "").unwrap();
    assert_eq!(applied.code, 2, "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stdout.contains("not evaluated"), "{}", applied.stdout);
    let without = LOOKED_UP.replace("context: context.yaml\n", "");
    fs::write(folder.path().join("kyverno-test.yaml"), without).unwrap();
    let ended = pharos(folder.path(), &["test", "."], "").unwrap();
    assert_eq!(ended.code, 2, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("Unsupported"), "{}", ended.stdout);
}

#[test]
fn a_context_that_cannot_be_read_is_told() {
    let nested = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let deep = CONTEXT.replace("{names: 'a,b'}", &nested);
    let nameless = CONTEXT.replace("name: teams, ", "");
    let other = CONTEXT.replace("kind: Context", "kind: Values");
    for context in [deep.as_str(), &nameless, &other, "", "[", "- a"] {
        let files = [
            ("looking-up.yaml", LOOKING_UP),
            ("context.yaml", context),
            ("kyverno-test.yaml", LOOKED_UP),
        ];
        let folder = folder(&files).unwrap();
        let ended = pharos(folder.path(), &["test", "."], "").unwrap();
        assert_eq!(ended.code, 2, "{context}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.contains("cannot be run"), "{context}: {}", ended.stdout);
    }
}

#[test]
fn hostile_files_are_told_and_break_nothing() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = format!("a: {}", "x".repeat(5 << 20));
    let bomb = "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n";
    for hostile in [deep.as_str(), &huge, bomb, "\u{0}\u{1}", "- - -", "kind: [", "!!python/x y"] {
        let folder = folder(&[("h.yaml", hostile), ("kyverno-test.yaml", hostile)]).unwrap();
        let tested = pharos(folder.path(), &["test", "."], "").unwrap();
        assert_eq!(tested.code, 2, "{}{}", tested.stdout, tested.stderr);
        let applied =
            pharos(folder.path(), &["apply", "policies.yaml", "-r", "h.yaml"], "").unwrap();
        assert_eq!(applied.code, 2, "{}{}", applied.stdout, applied.stderr);
        let applied =
            pharos(folder.path(), &["apply", "h.yaml", "-r", "objects.yaml"], "").unwrap();
        assert_eq!(applied.code, 2, "{}{}", applied.stdout, applied.stderr);
    }
}
