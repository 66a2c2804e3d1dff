//! Every metric. None has a unit: Kyverno's have none, and a unit would change exposed names.

use pharos_telemetry::{Declaration, InstrumentKind, own};

use super::Values::{Boolean, OneOf, Text};
use super::{AttributeDeclaration, KYVERNO, PHAROS, key};

/// Kyverno's bucket boundaries, in seconds.
pub const BOUNDARIES: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0];

const REVIEW: &[&str] = &[
    key::REQUEST_ALLOWED,
    key::REQUEST_WEBHOOK,
    key::RESOURCE_KIND,
    key::RESOURCE_NAMESPACE,
    key::RESOURCE_REQUEST_OPERATION,
];

const VALIDATING_POLICY: &[&str] = &[
    key::EXECUTION_CAUSE,
    key::POLICY_BACKGROUND_MODE,
    key::POLICY_NAME,
    key::POLICY_NAMESPACE,
    key::POLICY_VALIDATION_MODE,
    key::RESOURCE_KIND,
    key::RESOURCE_NAMESPACE,
    key::RESOURCE_REQUEST_OPERATION,
    key::RESULT,
];

/// AdmissionReviews answered.
pub static ADMISSION_REQUESTS: Declaration = counter(
    KYVERNO,
    "kyverno_admission_requests",
    "Admission reviews that the engine answered.",
    REVIEW,
);

/// How long AdmissionReviews took.
pub static ADMISSION_REVIEW_DURATION: Declaration = seconds(
    KYVERNO,
    "kyverno_admission_review_duration_seconds",
    "Seconds from reading an admission review to its answer, over all policies.",
    REVIEW,
);

/// Results of ValidatingPolicies.
pub static VALIDATING_POLICY_RESULTS: Declaration = counter(
    KYVERNO,
    "kyverno_validating_policy_results",
    "Results of validating policies, one for each policy and resource.",
    VALIDATING_POLICY,
);

/// How long ValidatingPolicies took.
pub static VALIDATING_POLICY_DURATION: Declaration = seconds(
    KYVERNO,
    "kyverno_validating_policy_execution_duration_seconds",
    "Seconds that one validating policy took for one resource.",
    VALIDATING_POLICY,
);

/// Requests to the webhook that got no review's answer.
pub static REFUSED_REQUESTS: Declaration = counter(
    PHAROS,
    "pharos_admission_refused_requests",
    "Requests to the webhook that were refused because they are no admission review.",
    &[key::REASON],
);

/// All of the engine's, as the reference lists them.
pub static ALL: [&Declaration; 5] = [
    &ADMISSION_REQUESTS,
    &ADMISSION_REVIEW_DURATION,
    &VALIDATING_POLICY_RESULTS,
    &VALIDATING_POLICY_DURATION,
    &REFUSED_REQUESTS,
];

/// Everything that the process can tell, in the order of the reference.
pub fn all() -> impl Iterator<Item = &'static Declaration> {
    ALL.into_iter().chain(own::DECLARATIONS)
}

/// The name that Prometheus shows.
pub fn prometheus_name(metric: &Declaration) -> String {
    pharos_telemetry::prometheus_name(metric.name, metric.kind)
}

/// What the attributes of metrics mean.
pub const ATTRIBUTES: &[AttributeDeclaration] = &[
    AttributeDeclaration::new(
        own::key::CERTIFICATE,
        OneOf(&["authorities", "client", "server"]),
        "Which certificate of the exporter.",
    ),
    AttributeDeclaration::new(
        key::EXECUTION_CAUSE,
        OneOf(&["admission_request", "background_scan"]),
        "Why the policy was evaluated.",
    ),
    AttributeDeclaration::new(
        own::key::EXPORTER,
        Text,
        "The name of the exporter in the TelemetryConfig.",
    ),
    AttributeDeclaration::new(
        own::key::OUTCOME,
        Text,
        "What came of it, such as `accepted`, `unreachable` or `committed`.",
    ),
    AttributeDeclaration::new(
        key::POLICY_BACKGROUND_MODE,
        OneOf(&["true", "false"]),
        "Whether the policy is part of background scans.",
    ),
    AttributeDeclaration::new(key::POLICY_NAME, Text, "The policy."),
    AttributeDeclaration::new(
        key::POLICY_NAMESPACE,
        Text,
        "The namespace of the policy; empty for a cluster-scoped one.",
    ),
    AttributeDeclaration::new(
        key::POLICY_VALIDATION_MODE,
        OneOf(&["Deny", "Audit"]),
        "Whether a violation denies the request or is only noted.",
    ),
    AttributeDeclaration::new(
        key::REASON,
        Text,
        "Why: a reason of the Kubernetes API such as `BadRequest`, or of a loss such as `queue_full`.",
    ),
    AttributeDeclaration::new(key::REQUEST_ALLOWED, Boolean, "Whether the answer allowed it."),
    AttributeDeclaration::new(
        key::REQUEST_WEBHOOK,
        OneOf(&["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]),
        "The kind of configuration that brought the request.",
    ),
    AttributeDeclaration::new(key::RESOURCE_KIND, Text, "The kind of the resource."),
    AttributeDeclaration::new(
        key::RESOURCE_NAMESPACE,
        Text,
        "The namespace of the resource; empty for a cluster-scoped one.",
    ),
    AttributeDeclaration::new(
        key::RESOURCE_REQUEST_OPERATION,
        OneOf(&["create", "update", "delete", "connect", ""]),
        "What was to be done to the resource; empty in a background scan.",
    ),
    AttributeDeclaration::new(
        key::RESULT,
        OneOf(&["pass", "fail", "warning", "error", "skip"]),
        "What the policy said.",
    ),
    AttributeDeclaration::new(
        own::key::SIGNAL,
        OneOf(&["metrics", "traces", "logs"]),
        "What was exported.",
    ),
];

const fn counter(
    scope: &'static str,
    name: &'static str,
    description: &'static str,
    attributes: &'static [&'static str],
) -> Declaration {
    let kind = InstrumentKind::Counter;
    Declaration { scope, name, kind, unit: "", description, attributes, boundaries: &[] }
}

const fn seconds(
    scope: &'static str,
    name: &'static str,
    description: &'static str,
    attributes: &'static [&'static str],
) -> Declaration {
    let kind = InstrumentKind::Histogram;
    Declaration { scope, name, kind, unit: "", description, attributes, boundaries: BOUNDARIES }
}
