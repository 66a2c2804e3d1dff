//! Tests that describe a cluster beside their resources, and tests of what is in none.

use super::{folder, pharos};

#[test]
fn policies_find_what_the_cluster_of_a_test_has() {
    let policy = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: known-team}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: ['*'], resources: [configmaps]}]
  variables:
  - {name: teams, expression: \"resource.Get('v1', 'configmaps', 'platform', 'teams')\"}
  - {name: sibling, expression: \"resource.Get('v1', 'configmaps', 'shop', 'good')\"}
  validations:
  - expression: >-
      variables.teams.data.names == 'a' && variables.sibling.metadata.labels.team == 'a'
      && namespaceObject.metadata.labels.stage == 'test'
";
    let cluster = "
apiVersion: cli.kyverno.io/v1alpha1
kind: ClusterResource
metadata: {name: cluster}
spec:
  resources:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: teams, namespace: platform}, data: {names: a}}
  - {apiVersion: v1, kind: Namespace, metadata: {name: lab, labels: {stage: test}}}
";
    let test = "
apiVersion: cli.kyverno.io/v1alpha1
kind: Test
policies: [known.yaml]
resources: [objects.yaml]
clusterResources: [cluster.yaml]
results: [{policy: known-team, kind: ConfigMap, resources: [elsewhere], result: pass}]
";
    let files = [("known.yaml", policy), ("cluster.yaml", cluster), ("kyverno-test.yaml", test)];
    let ended = pharos(folder(&files).unwrap().path(), &["test", "."], "").unwrap();
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("admission refuses it"), "{}", ended.stdout);
    let without = test.replace("clusterResources: [cluster.yaml]", "");
    let files = [("known.yaml", policy), ("kyverno-test.yaml", without.as_str())];
    let ended = pharos(folder(&files).unwrap().path(), &["test", "."], "").unwrap();
    assert_eq!(ended.code, 2, "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn a_test_of_payloads_that_are_no_resources_does_not_hold_unseen() {
    let policy = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: payload}
spec:
  evaluation: {mode: JSON}
  validations: [{expression: object.size > 1}]
";
    let test = "
apiVersion: cli.kyverno.io/v1alpha1
kind: Test
policies: [payload.yaml]
jsonPayloads: [payload.json]
results: [{policy: payload, result: pass}]
";
    let files =
        [("payload.yaml", policy), ("payload.json", "{\"size\": 1}"), ("kyverno-test.yaml", test)];
    let ended = pharos(folder(&files).unwrap().path(), &["test", "."], "").unwrap();
    assert_eq!(ended.code, 2, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("mode JSON"), "{}", ended.stdout);
}
