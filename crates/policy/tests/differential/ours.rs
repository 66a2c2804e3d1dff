//! Our side.

use std::sync::Arc;

use pharos_api::policy::ValidatingPolicy;
use pharos_policy::{
    Json, Lookups, Origin, PolicySet, Request, RuleResult, SystemClock, compile_validating_policy,
    evaluate as judge,
};
use serde_json::{Value, json};

use crate::cases::{Case, Group, Kind, configmap};
use crate::outcome::{Class, Outcome};

/// The policies of a group's cases.
pub(crate) fn compile(group: &Group) -> anyhow::Result<Vec<(Kind, PolicySet)>> {
    let compile = |case: &Case| {
        let policy = policy(case.validation(None));
        let compiled = compile_validating_policy(&policy, &Lookups::Refused)
            .map_err(|errors| anyhow::anyhow!("{} is refused: {errors}", case.expression))?;
        Ok((case.kind, PolicySet::new(Origin::Admission, [Arc::new(compiled)], [])))
    };
    group.cases.iter().map(compile).collect()
}

/// Why a validation is refused, if it is.
pub(crate) fn refusal(validation: &Value) -> Option<String> {
    let policy = policy(validation.clone());
    compile_validating_policy(&policy, &Lookups::Refused).err().map(|errors| errors.to_string())
}

/// What a case says of an object.
pub(crate) fn evaluate((kind, set): &(Kind, PolicySet), input: &str) -> Outcome {
    let review = json!({
        "uid": "1",
        "operation": "CREATE",
        "kind": { "group": "", "version": "v1", "kind": "ConfigMap" },
        "resource": { "group": "", "version": "v1", "resource": "configmaps" },
        "name": "differential",
        "namespace": "default",
        "userInfo": { "username": "alice" },
        "object": configmap("any", input),
        "oldObject": null,
    });
    let review = Json::from(review);
    let request = Request::parse(&review).expect("the request is well-formed");
    let mut evaluation = judge(set, &request, &SystemClock);
    let rule = evaluation.outcomes.pop().and_then(|mut outcome| outcome.rules.pop());
    match (kind, rule.expect("the policy is about ConfigMaps").result) {
        (Kind::Verdict, RuleResult::Pass) => Outcome::True,
        (Kind::Verdict, RuleResult::Fail { .. }) => Outcome::False,
        (Kind::Text, RuleResult::Fail { message, .. }) => match message.strip_prefix("text=") {
            Some(text) => Outcome::Text(text.to_owned()),
            None => Outcome::Error(Class::Other),
        },
        (_, RuleResult::Error { message, .. }) => Outcome::Error(Class::of(&message)),
        (kind, result) => panic!("{kind:?} {result:?}"),
    }
}

fn policy(validation: Value) -> ValidatingPolicy {
    let policy = json!({
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ValidatingPolicy",
        "metadata": { "name": "differential" },
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": { "resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"],
                "operations": ["CREATE"], "resources": ["configmaps"],
            }] },
            "validations": [validation],
        },
    });
    serde_json::from_value(policy).expect("the policy decodes")
}
