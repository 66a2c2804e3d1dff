//! Every metric. Kyverno's have no unit; those of HTTP servers have the units and names of
//! OpenTelemetry's conventions.

use pharos_telemetry::{Declaration, InstrumentKind, own};

use super::{KYVERNO, PHAROS, key};

mod attributes;

pub use attributes::ATTRIBUTES;

/// Kyverno's bucket boundaries, in seconds.
pub const BOUNDARIES: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0];

/// The bucket boundaries of bodies, in bytes: Kyverno has its seconds there.
const SIZES: &[f64] =
    &[256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0];

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

const RULE: &[&str] = &[
    key::DRY_RUN,
    key::POLICY_BACKGROUND_MODE,
    key::POLICY_NAME,
    key::POLICY_NAMESPACE,
    key::POLICY_TYPE,
    key::POLICY_VALIDATION_MODE,
    key::RESOURCE_KIND,
    key::RESOURCE_NAMESPACE,
    key::RESOURCE_REQUEST_OPERATION,
    key::RULE_EXECUTION_CAUSE,
    key::RULE_NAME,
    key::RULE_RESULT,
    key::RULE_TYPE,
];

const HTTP: &[&str] = &[key::HTTP_METHOD, key::HTTP_URL];

const HTTP_SERVER: &[&str] = &[
    key::HTTP_REQUEST_METHOD,
    key::HTTP_RESPONSE_STATUS_CODE,
    key::NETWORK_PROTOCOL_NAME,
    key::NETWORK_PROTOCOL_VERSION,
    key::URL_SCHEME,
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

/// Results of the rules of ClusterPolicies and Policies.
pub static POLICY_RESULTS: Declaration = counter(
    KYVERNO,
    "kyverno_policy_results",
    "Results of the rules of policies, one for each rule and resource.",
    RULE,
);

/// How long rules took.
pub static POLICY_DURATION: Declaration = seconds(
    KYVERNO,
    "kyverno_policy_execution_duration_seconds",
    "Seconds that one rule of a policy took for one resource.",
    RULE,
);

/// What became of policies.
pub static POLICY_CHANGES: Declaration = counter(
    KYVERNO,
    "kyverno_policy_changes",
    "Policies created, updated and deleted; those that are found at a start are created.",
    &[
        key::POLICY_BACKGROUND_MODE,
        key::POLICY_CHANGE_TYPE,
        key::POLICY_NAME,
        key::POLICY_NAMESPACE,
        key::POLICY_TYPE,
        key::POLICY_VALIDATION_MODE,
    ],
);

/// Which rules there are.
pub static POLICY_RULE_INFO: Declaration = gauge(
    "kyverno_policy_rule_info_total",
    "1 for each rule of each policy in the cluster, written and generated.",
    &[
        key::POLICY_BACKGROUND_MODE,
        key::POLICY_NAME,
        key::POLICY_NAMESPACE,
        key::POLICY_TYPE,
        key::POLICY_VALIDATION_MODE,
        key::RULE_NAME,
        key::RULE_TYPE,
        key::STATUS_READY,
    ],
);

/// The version.
pub static INFO: Declaration =
    gauge("kyverno_info", "1, with the version of Pharos.", &[key::VERSION]);

/// Policies written in a way that Kyverno gives up.
pub static DEPRECATED_REQUESTS: Declaration = counter(
    KYVERNO,
    "kyverno_deprecated_api_requests_total",
    "Policies written with kinds, versions or fields that Kyverno has deprecated.",
    &[key::FIELD, key::GROUP, key::KIND, key::VERSION],
);

/// Requests to the webhook's port.
pub static HTTP_REQUESTS: Declaration =
    counter(KYVERNO, "kyverno_http_requests", "Requests to the webhook, by route.", HTTP);

/// How long they took.
pub static HTTP_DURATION: Declaration = seconds(
    KYVERNO,
    "kyverno_http_requests_duration_seconds",
    "Seconds from the header of a request to the webhook to the header of its answer.",
    HTTP,
);

/// The same by OpenTelemetry's conventions.
pub static HTTP_SERVER_DURATION: Declaration = Declaration {
    unit: "s",
    boundaries: &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0],
    ..seconds(
        PHAROS,
        "http.server.request.duration",
        "Duration of HTTP server requests.",
        HTTP_SERVER,
    )
};

/// How long bodies are.
pub static HTTP_SERVER_REQUEST_SIZE: Declaration = Declaration {
    unit: "By",
    boundaries: SIZES,
    ..seconds(
        PHAROS,
        "http.server.request.body.size",
        "Size of HTTP server request bodies.",
        HTTP_SERVER,
    )
};

/// How long answers are.
pub static HTTP_SERVER_RESPONSE_SIZE: Declaration = Declaration {
    unit: "By",
    boundaries: SIZES,
    ..seconds(
        PHAROS,
        "http.server.response.body.size",
        "Size of HTTP server response bodies.",
        HTTP_SERVER,
    )
};

/// Calls to the API server.
pub static CLIENT_QUERIES: Declaration = counter(
    KYVERNO,
    "kyverno_client_queries",
    "Calls to the API server, whatever came of them.",
    &[key::CLIENT_TYPE, key::OPERATION, key::RESOURCE_KIND, key::RESOURCE_NAMESPACE],
);

/// Steps of what keeps something as it should be.
pub static RECONCILES: Declaration =
    counter(KYVERNO, "kyverno_controller_reconcile", "Reconciliations.", &[key::CONTROLLER_NAME]);

/// Steps that failed and are tried again.
pub static REQUEUES: Declaration = counter(
    KYVERNO,
    "kyverno_controller_requeue",
    "Reconciliations that failed and are tried again.",
    &[key::CONTROLLER_NAME, key::NUM_REQUEUES],
);

/// Steps that failed and are given up.
pub static DROPS: Declaration = counter(
    KYVERNO,
    "kyverno_controller_drop",
    "Reconciliations that were given up.",
    &[key::CONTROLLER_NAME],
);

/// Events that nobody will see.
pub static DROPPED_EVENTS: Declaration = counter(
    KYVERNO,
    "kyverno_events_dropped",
    "Kubernetes Events that could not be written, or that there was no room for.",
    &[],
);

/// Reports that were to be written.
pub static BREAKER_TOTAL: Declaration = counter(
    KYVERNO,
    "kyverno_breaker_total",
    "Policy reports that were to be written or deleted.",
    &[key::CIRCUIT_NAME],
);

/// Reports that were not.
pub static BREAKER_DROPS: Declaration = counter(
    KYVERNO,
    "kyverno_breaker_drops",
    "Policy reports that did not come to be written or deleted. Those of scans are tried again.",
    &[key::CIRCUIT_NAME],
);

/// How much is scanned.
pub static SCAN_OBJECTS: Declaration =
    own_gauge("pharos_scan_objects", "Objects that the background scan of this process judges.");

/// How much is left.
pub static SCAN_OBJECTS_LEFT: Declaration = own_gauge(
    "pharos_scan_objects_left",
    "Those of them that have to be judged, because they, a policy or the share changed.",
);

/// How much is to be written.
pub static SCAN_REPORTS_WAITING: Declaration =
    own_gauge("pharos_scan_reports_waiting", "Policy reports that wait to be written.");

/// How much cannot be read.
pub static SCAN_RESOURCES_UNREAD: Declaration = own_gauge(
    "pharos_scan_resources_unread",
    "Resources whose objects cannot be listed or read now; the log says why.",
);

/// Results that no report has.
pub static LOST_ADMISSION_RESULTS: Declaration = counter(
    PHAROS,
    "pharos_admission_results_lost",
    "What policies said about requests that were admitted, and should be in policy reports and is not; one for each policy and request.",
    &[key::REASON],
);

/// Requests to the webhook that got no review's answer.
pub static REFUSED_REQUESTS: Declaration = counter(
    PHAROS,
    "pharos_admission_refused_requests",
    "Requests to the webhook that got no review's answer, and connections that were closed at once.",
    &[key::REASON],
);

/// All of the engine's, as the reference lists them.
pub static ALL: [&Declaration; 28] = [
    &ADMISSION_REQUESTS,
    &ADMISSION_REVIEW_DURATION,
    &VALIDATING_POLICY_RESULTS,
    &VALIDATING_POLICY_DURATION,
    &POLICY_RESULTS,
    &POLICY_DURATION,
    &POLICY_CHANGES,
    &POLICY_RULE_INFO,
    &INFO,
    &DEPRECATED_REQUESTS,
    &HTTP_REQUESTS,
    &HTTP_DURATION,
    &HTTP_SERVER_DURATION,
    &HTTP_SERVER_REQUEST_SIZE,
    &HTTP_SERVER_RESPONSE_SIZE,
    &CLIENT_QUERIES,
    &RECONCILES,
    &REQUEUES,
    &DROPS,
    &DROPPED_EVENTS,
    &LOST_ADMISSION_RESULTS,
    &REFUSED_REQUESTS,
    &BREAKER_TOTAL,
    &BREAKER_DROPS,
    &SCAN_OBJECTS,
    &SCAN_OBJECTS_LEFT,
    &SCAN_REPORTS_WAITING,
    &SCAN_RESOURCES_UNREAD,
];

/// Everything that the process can tell, in the order of the reference.
pub fn all() -> impl Iterator<Item = &'static Declaration> {
    ALL.into_iter().chain(own::DECLARATIONS)
}

/// The name that Prometheus shows.
pub fn prometheus_name(metric: &Declaration) -> String {
    pharos_telemetry::prometheus_name(metric.name, metric.kind)
}

const fn counter(
    scope: &'static str,
    name: &'static str,
    description: &'static str,
    attributes: &'static [&'static str],
) -> Declaration {
    let kind = InstrumentKind::Counter;
    Declaration { scope, name, kind, unit: "", description, attributes, boundaries: &[] }
}

const fn gauge(
    name: &'static str,
    description: &'static str,
    attributes: &'static [&'static str],
) -> Declaration {
    let kind = InstrumentKind::ObservableGauge;
    Declaration { scope: KYVERNO, name, kind, unit: "", description, attributes, boundaries: &[] }
}

const fn own_gauge(name: &'static str, description: &'static str) -> Declaration {
    Declaration { scope: PHAROS, ..gauge(name, description, &[]) }
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
