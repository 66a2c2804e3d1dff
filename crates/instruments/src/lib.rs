//! What Pharos says about itself: every metric, span and attribute, declared once, recorded from
//! typed facts.
//!
//! What Kyverno has, too, has its names, value types and label values, so that its dashboards and
//! alert rules read on; what only Pharos has is named `pharos_*`. [`catalogue`] declares them;
//! [`Instruments`] records metrics and the spans of reviews, [`Spans`] those of calls. No other
//! crate names an instrument, a span or an attribute, and recording never fails and never waits.
//!
//! A [`Subject`] is made once for each review: its texts are shared by every record, and so is its
//! span, if it has one. While metrics are recorded, the span that they belong to is current.

pub mod catalogue;
mod facts;
mod spans;
mod subject;

use std::time::Duration;

use opentelemetry::KeyValue;
use pharos_telemetry::{Catalogue, Counter, Histogram};

use catalogue::key;
use catalogue::metrics::{
    ADMISSION_REQUESTS, ADMISSION_REVIEW_DURATION, REFUSED_REQUESTS, VALIDATING_POLICY_DURATION,
    VALIDATING_POLICY_RESULTS,
};
pub use facts::{
    AdmissionReviewFacts, Answer, BackgroundMode, Because, ExecutionCause, Operation, PolicyResult,
    RequestDetails, Target, ValidatingPolicyFacts, ValidationMode, Webhook,
};
pub use spans::{
    CallFacts, CallSpan, KubeCall, KubeSpan, KubeSpans, KubeSpansLayer, Spans, carry_trace,
};
pub use subject::Subject;
use subject::shared;

/// Every instrument of the engine. Cheap to clone; valid through every reload.
#[derive(Clone, Debug)]
pub struct Instruments {
    admission_requests: Counter,
    admission_review_duration: Histogram,
    validating_policy_results: Counter,
    validating_policy_duration: Histogram,
    refused_requests: Counter,
    spans: Spans,
}

// === impl Instruments ===

impl Instruments {
    /// Declares the instruments, once per process, before its pipeline starts.
    pub fn declare(catalogue: &mut Catalogue) -> Self {
        Self {
            admission_requests: catalogue.counter(&ADMISSION_REQUESTS),
            admission_review_duration: catalogue.histogram(&ADMISSION_REVIEW_DURATION),
            validating_policy_results: catalogue.counter(&VALIDATING_POLICY_RESULTS),
            validating_policy_duration: catalogue.histogram(&VALIDATING_POLICY_DURATION),
            refused_requests: catalogue.counter(&REFUSED_REQUESTS),
            spans: Spans::default(),
        }
    }

    /// The same instruments, recording spans, too.
    pub fn with_spans(self, spans: Spans) -> Self {
        Self { spans, ..self }
    }

    /// Where spans come from.
    pub fn spans(&self) -> &Spans {
        &self.spans
    }

    /// Begins the telemetry of one review. The details are asked for only if it has a span.
    pub fn begin_review<'a>(
        &self,
        operation: Operation,
        kind: &str,
        namespace: Option<&str>,
        details: &dyn Fn() -> RequestDetails<'a>,
    ) -> Subject {
        let mut subject = Subject::of_request(operation, kind, namespace);
        subject.span = self.spans.start_review(operation, details);
        subject
    }

    /// Records what one ValidatingPolicy said about a resource.
    pub fn record_policy(&self, subject: &Subject, facts: &ValidatingPolicyFacts<'_>) {
        let span = subject.span.as_ref().map(|review| review.policy(facts));
        let attributes = policy_attributes(subject, facts);
        self.validating_policy_results.add(1, &attributes);
        self.validating_policy_duration.record(seconds(facts.duration), &attributes);
        if let Some(span) = span {
            span.end();
        }
    }

    /// Records the answer to a review, and ends its span.
    pub fn record_review(&self, subject: &Subject, facts: &AdmissionReviewFacts<'_>) {
        let current = subject.span.as_ref().map(|review| review.context().clone().attach());
        let attributes = review_attributes(subject, facts);
        self.admission_requests.add(1, &attributes);
        self.admission_review_duration.record(seconds(facts.duration), &attributes);
        // Neither the message nor the object's name: both may hold what logs must not. And not on
        // the console unless somebody asks: a review must not wait for whoever reads that.
        if let Answer::Denied { reason, .. } = facts.answer {
            let (kind, namespace) = (subject.kind(), subject.namespace());
            tracing::debug!(kind, namespace, reason, "denied a request");
        }
        drop(current);
        if let Some(review) = &subject.span {
            review.end(facts);
        }
    }

    /// Records one request that got no review's answer; `reason` is from a closed set.
    pub fn record_refusal(&self, reason: &'static str) {
        self.refused_requests.add(1, &[KeyValue::new(key::REASON, reason)]);
    }
}

impl Default for Instruments {
    /// Instruments of no pipeline: what they record goes nowhere.
    fn default() -> Self {
        Self::declare(&mut Catalogue::new())
    }
}

/// In the order of their declaration, as recording wants them.
fn policy_attributes(subject: &Subject, facts: &ValidatingPolicyFacts<'_>) -> [KeyValue; 9] {
    [
        KeyValue::new(key::EXECUTION_CAUSE, subject.cause().as_str()),
        KeyValue::new(key::POLICY_BACKGROUND_MODE, facts.background_mode.as_str()),
        KeyValue::new(key::POLICY_NAME, shared(Some(facts.policy_name))),
        KeyValue::new(key::POLICY_NAMESPACE, shared(facts.policy_namespace)),
        KeyValue::new(key::POLICY_VALIDATION_MODE, facts.validation_mode.as_str()),
        subject.kind_as(key::RESOURCE_KIND),
        subject.namespace_as(key::RESOURCE_NAMESPACE),
        KeyValue::new(key::RESOURCE_REQUEST_OPERATION, subject.cause().operation()),
        KeyValue::new(key::RESULT, facts.result.as_str()),
    ]
}

/// In the order of their declaration, as recording wants them.
fn review_attributes(subject: &Subject, facts: &AdmissionReviewFacts<'_>) -> [KeyValue; 5] {
    [
        KeyValue::new(key::REQUEST_ALLOWED, facts.answer.is_allowed()),
        KeyValue::new(key::REQUEST_WEBHOOK, facts.webhook.as_str()),
        subject.kind_as(key::RESOURCE_KIND),
        subject.namespace_as(key::RESOURCE_NAMESPACE),
        KeyValue::new(key::RESOURCE_REQUEST_OPERATION, subject.cause().operation()),
    ]
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(any(test, feature = "testing"))]
mod running;
#[cfg(any(test, feature = "testing"))]
pub use running::Running;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
