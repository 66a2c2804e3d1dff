use super::*;
use crate::documents::Documents;
use crate::judge::{Circumstances, Kinds, Object};

fn documents(yaml: &str) -> Vec<Document> {
    let mut documents = Documents::default();
    documents.take("f", yaml.as_bytes());
    assert!(documents.broken.is_empty(), "{:?}", documents.broken);
    documents.documents
}

const POLICY: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata:
  name: labelled
  annotations: {policies.kyverno.io/scored: \"true\"}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [\"\"], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}
  validations:
  - {expression: \"'a' in object.metadata.labels\", message: it must have the label a}
";

fn verdict(policy: &str, object: &str) -> Verdict {
    let policies = Policies::of(&documents(policy), &[], &Lookups::Refused);
    let object = Object::of(documents(object).remove(0), &Kinds::default()).unwrap();
    Circumstances::default().judge(&policies, &object, None).remove(0)
}

fn results(verdict: Verdict) -> Vec<(RuleResult, String)> {
    match verdict {
        Verdict::Judged(rules) => rules.into_iter().map(|it| (it.result, it.message)).collect(),
        verdict => panic!("{verdict:?}"),
    }
}

const GOOD: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: g, labels: {a: b}}}";
const BAD: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: b, labels: {}}}";

#[test]
fn a_policy_says_what_it_says_at_admission() {
    assert_eq!(results(verdict(POLICY, GOOD)), [(RuleResult::Pass, String::new())]);
    let message = "it must have the label a".to_owned();
    assert_eq!(results(verdict(POLICY, BAD)), [(RuleResult::Fail, message)]);
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: b}}";
    assert_eq!(verdict(POLICY, pod), Verdict::Excluded);
}

#[test]
fn a_violation_of_a_policy_that_is_not_scored_is_a_warning() {
    let advice = POLICY.replace("\"true\"", "\"false\"");
    assert_eq!(results(verdict(&advice, BAD))[0].0, RuleResult::Warn);
}

#[test]
fn what_is_not_evaluated_says_so_and_is_never_left_out() {
    let kinds = [
        "policies.kyverno.io/v1, kind: MutatingPolicy",
        "policies.kyverno.io/v1beta1, kind: NamespacedGeneratingPolicy",
        "kyverno.io/v2, kind: CleanupPolicy",
        "admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy",
    ];
    for kind in kinds {
        let policy = format!("{{apiVersion: {kind}, metadata: {{name: p}}, spec: {{}}}}");
        assert!(matches!(verdict(&policy, GOOD), Verdict::Unsupported(_)), "{kind}");
    }
    let unknown = POLICY.replace("'a' in object", "objekt");
    assert!(matches!(verdict(&unknown, GOOD), Verdict::Invalid(_)));
    let undecodable = POLICY.replace("validations:", "validations: 1\n  x:");
    assert!(matches!(verdict(&undecodable, GOOD), Verdict::Invalid(_)));
}

#[test]
fn other_documents_are_no_policies() {
    let other = "{apiVersion: v1, kind: Pod}\n---\n{apiVersion: policies.kyverno.io/v1, kind: \
                 PolicyException}\n---\n{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy}";
    assert!(Policies::of(&documents(other), &[], &Lookups::Refused).is_empty());
}

#[test]
fn a_namespaced_policy_is_in_the_default_namespace_unless_it_says() {
    let id = |yaml: &str| PolicyId::of(&documents(yaml)[0].value).to_string();
    assert_eq!(id("{kind: Policy, metadata: {name: p}}"), "Policy default/p");
    assert_eq!(id("{kind: Policy, metadata: {name: p, namespace: ns}}"), "Policy ns/p");
    assert_eq!(id("{kind: ClusterPolicy, metadata: {name: p}}"), "ClusterPolicy p");
}
