//! What the attributes of metrics mean.

use pharos_telemetry::own;

use super::super::Values::{Boolean, Integer, OneOf, Text};
use super::super::{AttributeDeclaration, key};

/// What the attributes of metrics mean.
pub const ATTRIBUTES: &[AttributeDeclaration] = &[
    AttributeDeclaration::new(
        own::key::CERTIFICATE,
        OneOf(&["authorities", "client", "server"]),
        "Which certificate of the exporter.",
    ),
    AttributeDeclaration::new(
        key::CIRCUIT_NAME,
        OneOf(&["admission reports", "background scan reports"]),
        "Why the report was to be written: Kyverno has a circuit breaker for each.",
    ),
    AttributeDeclaration::new(
        key::CLIENT_TYPE,
        OneOf(&["kubeclient", "kyverno", "apiserver", "metadata", "dynamic"]),
        "Which of Kyverno's clients would have made the call.",
    ),
    AttributeDeclaration::new(key::CONTROLLER_NAME, Text, "What is kept as it should be."),
    AttributeDeclaration::new(
        key::DRY_RUN,
        OneOf(&["true", "false"]),
        "Whether nothing is stored, whatever the answer is.",
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
        key::FIELD,
        Text,
        "The deprecated field; empty where it is the whole kind.",
    ),
    AttributeDeclaration::new(key::GROUP, Text, "The API group of the policy."),
    AttributeDeclaration::new(key::HTTP_METHOD, Text, "The method."),
    AttributeDeclaration::new(
        key::HTTP_REQUEST_METHOD,
        Text,
        "The method; `_OTHER` if HTTP does not know it.",
    ),
    AttributeDeclaration::new(
        key::HTTP_RESPONSE_STATUS_CODE,
        Integer,
        "The status code of the answer.",
    ),
    AttributeDeclaration::new(
        key::HTTP_URL,
        Text,
        "The route that was called, with `?timeout=` as API servers add it; `other` for what is no route.",
    ),
    AttributeDeclaration::new(key::KIND, Text, "The kind of the policy."),
    AttributeDeclaration::new(key::NETWORK_PROTOCOL_NAME, OneOf(&["http"]), "The protocol."),
    AttributeDeclaration::new(
        key::NETWORK_PROTOCOL_VERSION,
        OneOf(&["1.0", "1.1", "2"]),
        "The version of HTTP.",
    ),
    AttributeDeclaration::new(key::NUM_REQUEUES, Integer, "How often it was tried before."),
    AttributeDeclaration::new(
        key::OPERATION,
        Text,
        "What was asked of the API server, such as `get` or `update_status`.",
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
    AttributeDeclaration::new(
        key::POLICY_CHANGE_TYPE,
        OneOf(&["created", "updated", "deleted"]),
        "What became of the policy.",
    ),
    AttributeDeclaration::new(key::POLICY_NAME, Text, "The policy."),
    AttributeDeclaration::new(
        key::POLICY_NAMESPACE,
        Text,
        "The namespace of the policy; for a cluster-scoped one it is `-` in the metrics that Kyverno made for ClusterPolicies, and empty in the others.",
    ),
    AttributeDeclaration::new(
        key::POLICY_TYPE,
        OneOf(&["cluster", "namespaced"]),
        "Whether the policy is in a namespace.",
    ),
    AttributeDeclaration::new(
        key::POLICY_VALIDATION_MODE,
        OneOf(&["Deny", "Audit", "enforce", "audit"]),
        "Whether a violation denies the request or is only noted; in lower case in the metrics that Kyverno made for ClusterPolicies.",
    ),
    AttributeDeclaration::new(
        key::REASON,
        Text,
        "Why: a reason of the Kubernetes API such as `BadRequest` or `TooManyRequests`, or of a loss such as `queue_full`.",
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
        key::RULE_EXECUTION_CAUSE,
        OneOf(&["admission_request", "background_scan"]),
        "Why the rule was evaluated.",
    ),
    AttributeDeclaration::new(key::RULE_NAME, Text, "The rule."),
    AttributeDeclaration::new(
        key::RULE_RESULT,
        OneOf(&["pass", "fail", "warn", "error", "skip"]),
        "What the rule said.",
    ),
    AttributeDeclaration::new(key::RULE_TYPE, OneOf(&["validate"]), "What the rule does."),
    AttributeDeclaration::new(
        own::key::SIGNAL,
        OneOf(&["metrics", "traces", "logs"]),
        "What was exported.",
    ),
    AttributeDeclaration::new(key::STATUS_READY, Boolean, "Whether the policy is evaluated."),
    AttributeDeclaration::new(key::URL_SCHEME, OneOf(&["https"]), "The scheme."),
    AttributeDeclaration::new(
        key::VERSION,
        Text,
        "A version: that of Pharos, or that of the API of a policy.",
    ),
];
