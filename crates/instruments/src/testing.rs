//! What tests of this crate share: facts, and spans that are kept instead of sent.

#![expect(clippy::disallowed_methods, reason = "spans are kept here instead of being sent")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};

use super::*;

/// The creation of a Pod.
pub(crate) fn subject() -> Subject {
    Subject::of_request(Operation::Create, "Pod", Some("t1"))
}

/// A review that allows it.
pub(crate) fn review() -> AdmissionReviewFacts<'static> {
    AdmissionReviewFacts {
        webhook: Webhook::Validating,
        answer: Answer::Allowed,
        warnings: &[],
        duration: Duration::from_millis(3),
    }
}

/// A policy that denies.
pub(crate) fn policy(kind: PolicyKind, name: &str) -> PolicyFacts<'_> {
    PolicyFacts {
        kind,
        namespace: None,
        name,
        validation_mode: ValidationMode::Deny,
        background_mode: BackgroundMode::Enabled,
    }
}

/// What the only rule of a ValidatingPolicy says of what it passes.
pub(crate) fn passed(name: &str) -> RuleFacts<'_> {
    let policy = policy(PolicyKind::ValidatingPolicy, name);
    rule(policy, "", PolicyResult::Pass)
}

/// What a rule says.
pub(crate) fn rule<'a>(
    policy: PolicyFacts<'a>,
    rule: &'a str,
    result: PolicyResult,
) -> RuleFacts<'a> {
    let (started, duration) = (Instant::now(), Duration::from_micros(400));
    RuleFacts { policy, rule, result, because: None, started, duration }
}

/// Records a policy that says no more than this.
pub(crate) fn tell(instruments: &Instruments, subject: &Subject, rule: &RuleFacts<'_>) {
    let RuleFacts { policy, started, duration, .. } = *rule;
    let run = PolicyRun { policy, started, duration };
    instruments.record_policy(subject, &run, &mut std::iter::once(*rule));
}

/// Spans that have ended, in the order in which they did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<SpanData>>>);

// === impl Kept ===

impl Kept {
    pub(crate) fn take(&self) -> Vec<SpanData> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// Where spans come from, and where they go.
pub(crate) fn kept_spans(sampler: Sampler) -> (Spans, Kept) {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_simple_exporter(kept.clone())
        .build();
    (Spans::of_tracer(provider.tracer(catalogue::PHAROS)), kept)
}
