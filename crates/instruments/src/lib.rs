//! What Pharos says about itself: every metric, span and attribute, declared once, recorded from
//! typed facts.
//!
//! What Kyverno has, too, has its names, value types and label values, so that its dashboards and
//! alert rules read on; what only Pharos has is named `pharos_*`. [`catalogue`] declares them;
//! [`Instruments`] records them. No other crate names an instrument, a span or an attribute, and
//! recording never fails and never waits.
//!
//! A [`Subject`] is made once for each review. It knows the series that reviews like it were
//! recorded in, so that a record neither allocates nor looks attributes up, and the span of the
//! review, if that has one; what is measured inside a sampled span leads there as an exemplar.

mod attributes;
mod calls;
pub mod catalogue;
mod facts;
mod known;
mod policies;
mod scans;
mod spans;
mod subject;

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanContext;
use pharos_telemetry::{Catalogue, Counter, Histogram};

pub use calls::Call;
use calls::Calls;
use catalogue::key;
use catalogue::metrics::{
    ADMISSION_REQUESTS, ADMISSION_REVIEW_DURATION, CLIENT_QUERIES, DROPPED_EVENTS, DROPS,
    LOST_ADMISSION_RESULTS, POLICY_DURATION, POLICY_RESULTS, RECONCILES, REFUSED_REQUESTS,
    REQUEUES, VALIDATING_POLICY_DURATION, VALIDATING_POLICY_RESULTS,
};
pub use facts::{
    AdmissionReviewFacts, Answer, BackgroundMode, Because, ChangeType, ExecutionCause, Operation,
    PolicyFacts, PolicyInfo, PolicyKind, PolicyResult, PolicyRun, RequestDetails, RuleFacts,
    Target, ValidationMode, Webhook,
};
use known::{Known, Measured};
use policies::Policies;
use scans::Scans;
pub use scans::{ReportCircuit, ReportFate, ScanProgress};
pub use spans::{
    CallFacts, KubeCall, KubeSpan, KubeTelemetry, KubeTelemetryLayer, ObjectsFacts, ObjectsSpan,
    ReportOutcome, ReportSpan, Spans, SweepOutcome, SweepParent, SweepSpan, carry_trace,
};
pub use subject::Subject;

/// Every instrument of the engine. Cheap to clone; valid through every reload.
#[derive(Clone, Debug)]
pub struct Instruments {
    admission_requests: Counter,
    admission_review_duration: Histogram,
    validating_policy_results: Counter,
    validating_policy_duration: Histogram,
    policy_results: Counter,
    policy_duration: Histogram,
    refused_requests: Counter,
    client_queries: Counter,
    reconciles: Counter,
    requeues: Counter,
    drops: Counter,
    dropped_events: Counter,
    lost_admission_results: Counter,
    calls: Calls,
    policies: Policies,
    scans: Scans,
    known: Arc<Known>,
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
            policy_results: catalogue.counter(&POLICY_RESULTS),
            policy_duration: catalogue.histogram(&POLICY_DURATION),
            refused_requests: catalogue.counter(&REFUSED_REQUESTS),
            client_queries: catalogue.counter(&CLIENT_QUERIES),
            reconciles: catalogue.counter(&RECONCILES),
            requeues: catalogue.counter(&REQUEUES),
            drops: catalogue.counter(&DROPS),
            dropped_events: catalogue.counter(&DROPPED_EVENTS),
            lost_admission_results: catalogue.counter(&LOST_ADMISSION_RESULTS),
            calls: Calls::declare(catalogue),
            policies: Policies::declare(catalogue),
            scans: Scans::declare(catalogue),
            known: Arc::default(),
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
        is_dry_run: bool,
        kind: &str,
        namespace: Option<&str>,
        details: &dyn Fn() -> RequestDetails<'a>,
    ) -> Subject {
        let cause = ExecutionCause::AdmissionRequest(operation);
        let known = self.known.subject(cause, is_dry_run, kind, namespace);
        Subject { known, span: self.spans.start_review(operation, details) }
    }

    /// Begins the telemetry of one resource that a background scan looks at. It has no span of its own:
    /// a scan looks at all that there is.
    pub fn begin_scan(&self, kind: &str, namespace: Option<&str>) -> Subject {
        let known = self.known.subject(ExecutionCause::BackgroundScan, false, kind, namespace);
        Subject { known, span: None }
    }

    /// Records what one policy said about a resource, rule by rule: a ValidatingPolicy has one.
    pub fn record_policy<'a>(
        &self,
        subject: &Subject,
        run: &PolicyRun<'_>,
        rules: &mut dyn Iterator<Item = RuleFacts<'a>>,
    ) {
        if !run.policy.kind.is_of_rules() {
            for rule in rules {
                let span = subject.span.as_ref().map(|review| review.policy(run, Some(&rule)));
                self.record_rule(subject, &rule, span.as_ref().map(|span| span.context()));
                span.into_iter().for_each(spans::Timed::end);
            }
            return;
        }
        let policy = subject.span.as_ref().map(|review| (review, review.policy(run, None)));
        for rule in rules {
            let span = policy.as_ref().map(|(review, policy)| review.rule(policy, &rule));
            self.record_rule(subject, &rule, span.as_ref().map(|span| span.context()));
            span.into_iter().for_each(spans::Timed::end);
        }
        policy.into_iter().for_each(|(_, span)| span.end());
    }

    fn record_rule(&self, subject: &Subject, facts: &RuleFacts<'_>, span: Option<&SpanContext>) {
        let make = || {
            if facts.policy.kind.is_of_rules() {
                let attributes = attributes::rule(subject, facts);
                Measured::new(&self.policy_results, &self.policy_duration, &attributes)
            } else {
                let attributes = attributes::validating_policy(subject, facts);
                let (count, duration) =
                    (&self.validating_policy_results, &self.validating_policy_duration);
                Measured::new(count, duration, &attributes)
            }
        };
        if !subject.known.rule(facts, span, make) {
            make().record(facts.duration.as_secs_f64(), span);
        }
    }

    /// Records the answer to a review, and ends its span.
    pub fn record_review(&self, subject: &Subject, facts: &AdmissionReviewFacts<'_>) {
        let allowed = usize::from(facts.answer.is_allowed());
        let webhook = usize::from(facts.webhook == Webhook::Mutating);
        let measured = subject.known.reviews[allowed][webhook].get_or_init(|| {
            let attributes = attributes::review(subject, facts);
            Measured::new(&self.admission_requests, &self.admission_review_duration, &attributes)
        });
        measured.record(facts.duration.as_secs_f64(), subject.span_context().as_ref());
        // Neither the message nor the object's name: both may hold what logs must not. And not on
        // the console unless somebody asks: a review must not wait for whoever reads that.
        if let Answer::Denied { reason, .. } = facts.answer {
            let (kind, namespace) = (subject.kind(), subject.namespace());
            let _current = subject.span.as_ref().map(|review| review.context().clone().attach());
            tracing::debug!(kind, namespace, reason, "denied a request");
        }
        if let Some(review) = &subject.span {
            review.end(facts);
        }
    }

    /// Records one request that got no review's answer; `reason` is from a closed set.
    pub fn record_refusal(&self, reason: &'static str) {
        self.refused_requests.add(1, &[KeyValue::new(key::REASON, reason)]);
    }

    /// Records what became of a policy. A policy whose modes change is another one to Kyverno, which
    /// counts the change for both; here it is one change, of what it is now.
    pub fn record_policy_change(&self, policy: &PolicyFacts<'_>, change: ChangeType) {
        self.policies.changes.add(1, &policies::change_attributes(policy, change));
    }

    /// Tells which policies there are, from now on: all of them, in force or not.
    pub fn set_policies(&self, policies: impl Into<Arc<[PolicyInfo]>>) {
        self.policies.set(policies.into());
        self.known.forget();
    }

    /// Records that a policy was written with a kind that Kyverno has deprecated, or with such a
    /// field of one. All three are from closed sets.
    pub fn record_deprecated_request(
        &self,
        version: &'static str,
        kind: PolicyKind,
        field: &'static str,
    ) {
        let attributes = [
            KeyValue::new(key::FIELD, field),
            KeyValue::new(key::GROUP, kind.group()),
            KeyValue::new(key::KIND, kind.as_str()),
            KeyValue::new(key::VERSION, version),
        ];
        self.policies.deprecated_requests.add(1, &attributes);
    }

    /// Records one step of what keeps something as it should be; `controller` is from a closed set.
    pub fn record_reconcile(&self, controller: &'static str) {
        self.reconciles.add(1, &[KeyValue::new(key::CONTROLLER_NAME, controller)]);
    }

    /// Records that such a step failed and is tried again, for the `attempt`th time. Beyond ten
    /// they are one series.
    pub fn record_requeue(&self, controller: &'static str, attempt: u32) {
        let attributes = [
            KeyValue::new(key::CONTROLLER_NAME, controller),
            KeyValue::new(key::NUM_REQUEUES, i64::from(attempt.min(10))),
        ];
        self.requeues.add(1, &attributes);
    }

    /// Records that such a step failed and is given up.
    pub fn record_drop(&self, controller: &'static str) {
        self.drops.add(1, &[KeyValue::new(key::CONTROLLER_NAME, controller)]);
    }

    /// Records Events that nobody will see.
    pub fn record_dropped_events(&self, count: u64) {
        self.dropped_events.add(count, &[]);
    }

    /// Records that what so many policies said about a request is in no report.
    pub fn record_lost_admission_results(&self, reason: &'static str, count: u64) {
        self.lost_admission_results.add(count, &[KeyValue::new(key::REASON, reason)]);
    }
}

impl Default for Instruments {
    /// Instruments of no pipeline: what they record goes nowhere.
    fn default() -> Self {
        Self::declare(&mut Catalogue::new())
    }
}

#[cfg(any(test, feature = "testing"))]
mod running;
#[cfg(any(test, feature = "testing"))]
pub use running::Running;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
