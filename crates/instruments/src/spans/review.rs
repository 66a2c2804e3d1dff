//! The span of one review, and the spans of its policies and their rules.

use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::text::{all, clipped};
use super::{Spans, integer};
use crate::catalogue::key;
use crate::facts::{
    AdmissionReviewFacts, Answer, Operation, PolicyFacts, PolicyResult, PolicyRun, RequestDetails,
    RuleFacts, Target,
};

/// The newest version of every kind of policy; what all versions say is the same.
const POLICY_VERSION: &str = "v1";

/// The span of a review that is recorded.
#[derive(Debug)]
pub(crate) struct ReviewSpan {
    context: Context,
    tracer: SdkTracer,
    /// One moment by both clocks: policies are timed by the one that never goes back.
    began: (Instant, SystemTime),
    /// Whether the words of policies can be repeated.
    is_secret: bool,
}

/// The span of something that is over.
pub(crate) struct Timed {
    span: Span,
    end: SystemTime,
}

// === impl Spans ===

impl Spans {
    /// The span of a review that begins now, if it is a part of one that is recorded.
    pub(crate) fn start_review<'a>(
        &self,
        operation: Operation,
        details: &dyn Fn() -> RequestDetails<'a>,
    ) -> Option<ReviewSpan> {
        let tracer = self.inside_recorded()?;
        let began = (Instant::now(), SystemTime::now());
        let details = details();
        let Target { kind_group, kind_version, kind, .. } = details.target;
        let verb = operation.verb();
        let name = format!("VALIDATE {verb} {kind_group}/{kind_version}, Kind={kind}");
        let builder = tracer
            .span_builder(name)
            .with_kind(SpanKind::Internal)
            .with_start_time(began.1)
            .with_attributes(request_attributes(verb, &details));
        let context = Context::current_with_span(tracer.build(builder));
        let (tracer, is_secret) = (tracer.clone(), details.target.is_secret());
        Some(ReviewSpan { context, tracer, began, is_secret })
    }
}

fn request_attributes(verb: &'static str, details: &RequestDetails<'_>) -> Vec<KeyValue> {
    let RequestDetails { uid, name, dry_run, target, .. } = details;
    let mut attributes = Vec::with_capacity(36);
    let mut add = |key, text| attributes.push(KeyValue::new(key, clipped(text)));
    add(key::REQUEST_UID, uid);
    add(key::RESPONSE_UID, uid);
    add(key::REQUEST_NAME, name);
    add(key::REQUEST_NAMESPACE, details.namespace);
    add(key::REQUEST_GROUP, target.kind_group);
    add(key::REQUEST_VERSION, target.kind_version);
    add(key::REQUEST_KIND, target.kind);
    add(key::REQUEST_KIND_GROUP, target.kind_group);
    add(key::REQUEST_KIND_VERSION, target.kind_version);
    add(key::REQUEST_KIND_KIND, target.kind);
    add(key::REQUEST_RESOURCE_GROUP, target.resource_group);
    add(key::REQUEST_RESOURCE_VERSION, target.resource_version);
    add(key::REQUEST_RESOURCE_RESOURCE, target.resource);
    add(key::REQUEST_SUB_RESOURCE, target.sub_resource);
    if let Some(original) = &details.original {
        add(key::ORIGINAL_KIND_GROUP, original.kind_group);
        add(key::ORIGINAL_KIND_VERSION, original.kind_version);
        add(key::ORIGINAL_KIND_KIND, original.kind);
        add(key::ORIGINAL_RESOURCE_GROUP, original.resource_group);
        add(key::ORIGINAL_RESOURCE_VERSION, original.resource_version);
        add(key::ORIGINAL_RESOURCE_RESOURCE, original.resource);
        add(key::ORIGINAL_SUB_RESOURCE, original.sub_resource);
    }
    add(key::REQUEST_USER_NAME, details.user_name);
    add(key::REQUEST_USER_UID, details.user_uid);
    attributes.extend([
        KeyValue::new(key::REQUEST_OPERATION, verb),
        KeyValue::new(key::REQUEST_DRY_RUN, *dry_run),
        KeyValue::new(key::REQUEST_USER_GROUPS, all(details.user_groups.iter().copied())),
    ]);
    attributes
}

// === impl ReviewSpan ===

impl ReviewSpan {
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// The span of a policy that was evaluated for it, with the times of that; with the outcome of
    /// its only rule, if it can have no other.
    pub(crate) fn policy(&self, run: &PolicyRun<'_>, only: Option<&RuleFacts<'_>>) -> Timed {
        let PolicyFacts { kind, namespace, name, validation_mode, .. } = run.policy;
        let namespace = namespace.unwrap_or_default();
        let mut attributes = Vec::with_capacity(11);
        attributes.extend([
            KeyValue::new(key::SPAN_POLICY_GROUP, kind.group()),
            KeyValue::new(key::SPAN_POLICY_VERSION, POLICY_VERSION),
            KeyValue::new(key::SPAN_POLICY_KIND, kind.as_str()),
            KeyValue::new(key::SPAN_POLICY_NAME, clipped(name)),
            KeyValue::new(key::SPAN_POLICY_NAMESPACE, clipped(namespace)),
            KeyValue::new(key::SPAN_POLICY_MODE, validation_mode.action()),
        ]);
        if let Some(rule) = only {
            self.say_outcome(&mut attributes, rule);
        }
        let name = ["POLICY ", namespace, "/", name].concat();
        self.timed(name, attributes, (run.started, run.duration), &self.context, only)
    }

    /// The span of one of its rules.
    pub(crate) fn rule(&self, policy: &Timed, rule: &RuleFacts<'_>) -> Timed {
        let mut attributes = Vec::with_capacity(5);
        self.say_outcome(&mut attributes, rule);
        let name = ["RULE ", rule.rule].concat();
        let parent = Context::new().with_remote_span_context(policy.context().clone());
        self.timed(name, attributes, (rule.started, rule.duration), &parent, Some(rule))
    }

    fn timed(
        &self,
        name: String,
        attributes: Vec<KeyValue>,
        (started, took): (Instant, Duration),
        parent: &Context,
        outcome: Option<&RuleFacts<'_>>,
    ) -> Timed {
        let start = self.began.1 + started.saturating_duration_since(self.began.0);
        let builder = self
            .tracer
            .span_builder(name)
            .with_kind(SpanKind::Internal)
            .with_start_time(start)
            .with_attributes(attributes);
        let mut span = self.tracer.build_with_context(builder, parent);
        if let Some(rule) = outcome.filter(|rule| rule.result == PolicyResult::Error) {
            let because = rule.because.filter(|_| !self.is_secret);
            let message = because.map_or_else(String::new, |it| clipped(it.message).into());
            span.set_status(Status::error(message));
        }
        Timed { span, end: start + took }
    }

    fn say_outcome(&self, attributes: &mut Vec<KeyValue>, rule: &RuleFacts<'_>) {
        attributes.push(KeyValue::new(key::SPAN_POLICY_RESULT, rule.result.as_str()));
        if !rule.rule.is_empty() {
            attributes.push(KeyValue::new(key::SPAN_RULE_NAME, clipped(rule.rule)));
        }
        let validation = rule.because.and_then(|because| because.validation);
        attributes.extend(validation.map(|it| integer(key::SPAN_POLICY_VALIDATION, it)));
        match rule.result {
            PolicyResult::Error => {
                attributes.push(KeyValue::new(key::ERROR_TYPE, "PolicyEvaluation"));
            }
            PolicyResult::Fail | PolicyResult::Warning => {
                let because = rule.because.filter(|_| !self.is_secret);
                attributes.extend(
                    because.map(|it| KeyValue::new(key::SPAN_POLICY_MESSAGE, clipped(it.message))),
                );
            }
            PolicyResult::Pass | PolicyResult::Skip => {}
        }
    }

    /// Ends with the answer.
    pub(crate) fn end(&self, facts: &AdmissionReviewFacts<'_>) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new(key::RESPONSE_ALLOWED, facts.answer.is_allowed()));
        if !self.is_secret {
            let warnings = all(facts.warnings.iter().map(String::as_str));
            span.set_attribute(KeyValue::new(key::RESPONSE_WARNINGS, warnings));
        }
        match facts.answer {
            Answer::Allowed => {
                span.set_attribute(KeyValue::new(key::RESPONSE_STATUS, "Success"));
                span.set_attribute(integer(key::RESPONSE_CODE, 200));
            }
            Answer::Denied { code, reason, message } => {
                span.set_attribute(KeyValue::new(key::RESPONSE_STATUS, "Failure"));
                span.set_attribute(integer(key::RESPONSE_CODE, code));
                span.set_attribute(KeyValue::new(key::RESPONSE_REASON, reason));
                if !self.is_secret {
                    span.set_attribute(KeyValue::new(key::RESPONSE_MESSAGE, clipped(message)));
                }
            }
        }
        span.end();
    }
}

// === impl Timed ===

impl Timed {
    pub(crate) fn context(&self) -> &SpanContext {
        self.span.span_context()
    }

    pub(crate) fn end(mut self) {
        self.span.end_with_timestamp(self.end);
    }
}
