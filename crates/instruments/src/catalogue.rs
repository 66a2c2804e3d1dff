//! Every instrument that there is, with every attribute that it has. None has a unit: Kyverno's
//! have none, and a unit would change exposed names.

use pharos_telemetry::{Declaration, InstrumentKind};

/// The instrumentation scope of what Kyverno has, too, without a version.
pub const KYVERNO: &str = "kyverno";

/// The instrumentation scope of what only Pharos has.
pub const PHAROS: &str = "pharos";

/// Kyverno's bucket boundaries, in seconds.
pub const BOUNDARIES: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0];

/// Every attribute key.
pub mod key {
    /// `admission_request` or `background_scan`.
    pub const EXECUTION_CAUSE: &str = "execution_cause";
    /// Whether the policy is part of background scans: `true` or `false`, as text.
    pub const POLICY_BACKGROUND_MODE: &str = "policy_background_mode";
    /// The policy.
    pub const POLICY_NAME: &str = "policy_name";
    /// The namespace of the policy; empty for a cluster-scoped one.
    pub const POLICY_NAMESPACE: &str = "policy_namespace";
    /// `Deny` or `Audit`.
    pub const POLICY_VALIDATION_MODE: &str = "policy_validation_mode";
    /// Whether the request was allowed, as a boolean.
    pub const REQUEST_ALLOWED: &str = "request_allowed";
    /// The kind of configuration that brought the request.
    pub const REQUEST_WEBHOOK: &str = "request_webhook";
    /// Why a request was refused: a reason of the Kubernetes API, such as `BadRequest`.
    pub const REASON: &str = "reason";
    /// The kind of the resource.
    pub const RESOURCE_KIND: &str = "resource_kind";
    /// The namespace of the resource; empty for a cluster-scoped one.
    pub const RESOURCE_NAMESPACE: &str = "resource_namespace";
    /// `create`, `update`, `delete` or `connect`; empty in a scan.
    pub const RESOURCE_REQUEST_OPERATION: &str = "resource_request_operation";
    /// `pass`, `fail`, `warning`, `error` or `skip`.
    pub const RESULT: &str = "result";
}

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
pub static ADMISSION_REQUESTS: Declaration = Declaration {
    scope: KYVERNO,
    name: "kyverno_admission_requests",
    kind: InstrumentKind::Counter,
    unit: "",
    description: "Admission reviews that the engine answered.",
    attributes: REVIEW,
    boundaries: &[],
};

/// How long AdmissionReviews took.
pub static ADMISSION_REVIEW_DURATION: Declaration = Declaration {
    scope: KYVERNO,
    name: "kyverno_admission_review_duration_seconds",
    kind: InstrumentKind::Histogram,
    unit: "",
    description: "Seconds from reading an admission review to its answer, over all policies.",
    attributes: REVIEW,
    boundaries: BOUNDARIES,
};

/// Results of ValidatingPolicies.
pub static VALIDATING_POLICY_RESULTS: Declaration = Declaration {
    scope: KYVERNO,
    name: "kyverno_validating_policy_results",
    kind: InstrumentKind::Counter,
    unit: "",
    description: "Results of validating policies, one for each policy and resource.",
    attributes: VALIDATING_POLICY,
    boundaries: &[],
};

/// How long ValidatingPolicies took.
pub static VALIDATING_POLICY_DURATION: Declaration = Declaration {
    scope: KYVERNO,
    name: "kyverno_validating_policy_execution_duration_seconds",
    kind: InstrumentKind::Histogram,
    unit: "",
    description: "Seconds that one validating policy took for one resource.",
    attributes: VALIDATING_POLICY,
    boundaries: BOUNDARIES,
};

/// Requests to the webhook that got no review's answer.
pub static REFUSED_REQUESTS: Declaration = Declaration {
    scope: PHAROS,
    name: "pharos_admission_refused_requests",
    kind: InstrumentKind::Counter,
    unit: "",
    description: "Requests to the webhook that were refused because they are no admission review.",
    attributes: &[key::REASON],
    boundaries: &[],
};

/// All of them.
pub const ALL: [&Declaration; 5] = [
    &ADMISSION_REQUESTS,
    &ADMISSION_REVIEW_DURATION,
    &VALIDATING_POLICY_RESULTS,
    &VALIDATING_POLICY_DURATION,
    &REFUSED_REQUESTS,
];
