//! From facts to the attributes of metrics, in the order of their declaration, as recording wants
//! them. Made once for each series.

use opentelemetry::KeyValue;

use crate::catalogue::key;
use crate::facts::{AdmissionReviewFacts, RuleFacts};
use crate::policies::RULE_TYPE;
use crate::subject::Subject;

/// Of what a ValidatingPolicy said.
pub(crate) fn validating_policy(subject: &Subject, facts: &RuleFacts<'_>) -> [KeyValue; 9] {
    let policy = &facts.policy;
    [
        KeyValue::new(key::EXECUTION_CAUSE, subject.cause().as_str()),
        KeyValue::new(key::POLICY_BACKGROUND_MODE, policy.background_mode.as_str()),
        KeyValue::new(key::POLICY_NAME, policy.name.to_owned()),
        KeyValue::new(key::POLICY_NAMESPACE, policy.cel_namespace().to_owned()),
        KeyValue::new(key::POLICY_VALIDATION_MODE, policy.validation_mode.action()),
        subject.kind_as(key::RESOURCE_KIND),
        subject.namespace_as(key::RESOURCE_NAMESPACE),
        KeyValue::new(key::RESOURCE_REQUEST_OPERATION, subject.cause().operation()),
        KeyValue::new(key::RESULT, facts.result.as_str()),
    ]
}

/// Of what a rule of a ClusterPolicy or a Policy said.
pub(crate) fn rule(subject: &Subject, facts: &RuleFacts<'_>) -> [KeyValue; 13] {
    let policy = &facts.policy;
    [
        KeyValue::new(key::DRY_RUN, subject.dry_run()),
        KeyValue::new(key::POLICY_BACKGROUND_MODE, policy.background_mode.as_str()),
        KeyValue::new(key::POLICY_NAME, policy.name.to_owned()),
        KeyValue::new(key::POLICY_NAMESPACE, policy.rule_namespace().to_owned()),
        KeyValue::new(key::POLICY_TYPE, policy.policy_type()),
        KeyValue::new(key::POLICY_VALIDATION_MODE, policy.validation_mode.mode()),
        subject.kind_as(key::RESOURCE_KIND),
        subject.namespace_as(key::RESOURCE_NAMESPACE),
        KeyValue::new(key::RESOURCE_REQUEST_OPERATION, subject.cause().operation()),
        KeyValue::new(key::RULE_EXECUTION_CAUSE, subject.cause().as_str()),
        KeyValue::new(key::RULE_NAME, facts.rule.to_owned()),
        KeyValue::new(key::RULE_RESULT, facts.result.of_rule()),
        KeyValue::new(key::RULE_TYPE, RULE_TYPE),
    ]
}

/// Of a review.
pub(crate) fn review(subject: &Subject, facts: &AdmissionReviewFacts<'_>) -> [KeyValue; 5] {
    [
        KeyValue::new(key::REQUEST_ALLOWED, facts.answer.is_allowed()),
        KeyValue::new(key::REQUEST_WEBHOOK, facts.webhook.as_str()),
        subject.kind_as(key::RESOURCE_KIND),
        subject.namespace_as(key::RESOURCE_NAMESPACE),
        KeyValue::new(key::RESOURCE_REQUEST_OPERATION, subject.cause().operation()),
    ]
}
