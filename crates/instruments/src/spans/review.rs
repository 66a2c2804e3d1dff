//! The span of one review, and the spans of its policies.

use std::time::{Instant, SystemTime};

use opentelemetry::context::ContextGuard;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use super::text::{all, clipped};
use super::{Spans, integer};
use crate::catalogue::key;
use crate::facts::{
    AdmissionReviewFacts, Answer, Operation, PolicyResult, RequestDetails, Target,
    ValidatingPolicyFacts,
};
use crate::subject::shared;

const POLICY_GROUP: &str = "policies.kyverno.io";
const POLICY_KIND: &str = "ValidatingPolicy";

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

/// The span of a policy, current until it ends.
pub(crate) struct PolicySpan {
    context: Context,
    end: SystemTime,
    _current: ContextGuard,
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

    /// The span of a policy that was evaluated for it, with the times of that.
    pub(crate) fn policy(&self, facts: &ValidatingPolicyFacts<'_>) -> PolicySpan {
        let start = self.began.1 + facts.started.saturating_duration_since(self.began.0);
        let namespace = facts.policy_namespace.map_or("", |namespace| namespace);
        let builder = self
            .tracer
            .span_builder(format!("POLICY {namespace}/{}", facts.policy_name))
            .with_kind(SpanKind::Internal)
            .with_start_time(start)
            .with_attributes(self.policy_attributes(facts));
        let span = self.tracer.build_with_context(builder, &self.context);
        let context = self.context.with_span(span);
        if facts.result == PolicyResult::Error {
            let because = facts.because.filter(|_| !self.is_secret);
            let message = because.map_or_else(String::new, |it| clipped(it.message).into());
            context.span().set_status(Status::error(message));
        }
        let current = context.clone().attach();
        PolicySpan { context, end: start + facts.duration, _current: current }
    }

    fn policy_attributes(&self, facts: &ValidatingPolicyFacts<'_>) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(9);
        attributes.extend([
            KeyValue::new(key::SPAN_POLICY_GROUP, POLICY_GROUP),
            KeyValue::new(key::SPAN_POLICY_KIND, POLICY_KIND),
            KeyValue::new(key::SPAN_POLICY_NAME, shared(Some(facts.policy_name))),
            KeyValue::new(key::SPAN_POLICY_NAMESPACE, shared(facts.policy_namespace)),
            KeyValue::new(key::SPAN_POLICY_RESULT, facts.result.as_str()),
            KeyValue::new(key::SPAN_POLICY_MODE, facts.validation_mode.as_str()),
        ]);
        let validation = facts.because.and_then(|because| because.validation);
        attributes.extend(validation.map(|it| integer(key::SPAN_POLICY_VALIDATION, it)));
        match facts.result {
            PolicyResult::Error => {
                attributes.push(KeyValue::new(key::ERROR_TYPE, "PolicyEvaluation"));
            }
            PolicyResult::Fail | PolicyResult::Warning => {
                let because = facts.because.filter(|_| !self.is_secret);
                attributes.extend(
                    because.map(|it| KeyValue::new(key::SPAN_POLICY_MESSAGE, clipped(it.message))),
                );
            }
            PolicyResult::Pass | PolicyResult::Skip => {}
        }
        attributes
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

// === impl PolicySpan ===

impl PolicySpan {
    pub(crate) fn end(self) {
        self.context.span().end_with_timestamp(self.end);
    }
}
