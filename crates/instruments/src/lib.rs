//! What Pharos says about itself: every instrument and every attribute, declared once, recorded
//! from typed facts.
//!
//! What Kyverno has, too, has its names, value types and label values, so that its dashboards and
//! alert rules read on; what only Pharos has is named `pharos_*`. [`catalogue`] declares them; [`Instruments`] records them. No other crate names an instrument
//! or an attribute, and recording never fails and never waits.

pub mod catalogue;
mod facts;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use pharos_telemetry::{Catalogue, Counter, Histogram};

use catalogue::{
    ADMISSION_REQUESTS, ADMISSION_REVIEW_DURATION, REFUSED_REQUESTS, VALIDATING_POLICY_DURATION,
    VALIDATING_POLICY_RESULTS, key,
};
pub use facts::{
    AdmissionReviewFacts, BackgroundMode, ExecutionCause, Operation, PolicyResult,
    ValidatingPolicyFacts, ValidationMode, Webhook,
};

/// Every instrument of the engine. Cheap to clone; valid through every reload.
#[derive(Clone, Debug)]
pub struct Instruments {
    admission_requests: Counter,
    admission_review_duration: Histogram,
    validating_policy_results: Counter,
    validating_policy_duration: Histogram,
    refused_requests: Counter,
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
        }
    }

    /// Records one answered AdmissionReview.
    pub fn record_review(&self, facts: &AdmissionReviewFacts<'_>) {
        let AdmissionReviewFacts { webhook, operation, kind, namespace, allowed, duration } =
            *facts;
        let attributes = [
            KeyValue::new(key::REQUEST_ALLOWED, allowed),
            KeyValue::new(key::REQUEST_WEBHOOK, webhook.as_str()),
            text(key::RESOURCE_KIND, kind),
            text(key::RESOURCE_NAMESPACE, namespace),
            KeyValue::new(key::RESOURCE_REQUEST_OPERATION, operation.as_str()),
        ];
        self.admission_requests.add(1, &attributes);
        self.admission_review_duration.record(seconds(duration), &attributes);
    }

    /// Records one request that got no review's answer; `reason` is from a closed set.
    pub fn record_refusal(&self, reason: &'static str) {
        self.refused_requests.add(1, &[KeyValue::new(key::REASON, reason)]);
    }

    /// Records what one ValidatingPolicy said about one resource.
    pub fn record_policy(&self, facts: &ValidatingPolicyFacts<'_>) {
        let ValidatingPolicyFacts {
            policy_name,
            policy_namespace,
            validation_mode,
            background_mode,
            kind,
            namespace,
            cause,
            result,
            duration,
        } = *facts;
        let attributes = [
            KeyValue::new(key::EXECUTION_CAUSE, cause.as_str()),
            KeyValue::new(key::POLICY_BACKGROUND_MODE, background_mode.as_str()),
            text(key::POLICY_NAME, policy_name),
            text(key::POLICY_NAMESPACE, policy_namespace),
            KeyValue::new(key::POLICY_VALIDATION_MODE, validation_mode.as_str()),
            text(key::RESOURCE_KIND, kind),
            text(key::RESOURCE_NAMESPACE, namespace),
            KeyValue::new(key::RESOURCE_REQUEST_OPERATION, cause.operation()),
            KeyValue::new(key::RESULT, result.as_str()),
        ];
        self.validating_policy_results.add(1, &attributes);
        self.validating_policy_duration.record(seconds(duration), &attributes);
    }
}

/// Shared text: the SDK clones the attributes of every series that it sees for the first time.
fn text(key: &'static str, value: &str) -> KeyValue {
    KeyValue::new(key, Arc::<str>::from(value))
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests;
