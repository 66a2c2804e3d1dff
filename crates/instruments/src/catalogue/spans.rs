//! Every span. Each has content: what only repeats its parent's time and name is not one.

use opentelemetry::trace::SpanKind;

use super::Values::{Boolean, Integer, OneOf, Text, Texts};
use super::{AttributeDeclaration, key};

/// One kind of span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanDeclaration {
    /// The name, with what varies in braces. It never names an object of a user's.
    pub name: &'static str,
    /// Who calls whom.
    pub kind: SpanKind,
    /// What it is about.
    pub description: &'static str,
    /// What it is a part of.
    pub parent: &'static str,
    /// When its status is an error.
    pub error: &'static str,
    /// What it says.
    pub attributes: &'static [AttributeDeclaration],
}

const METHODS: &[&str] =
    &["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "_OTHER"];
const OPERATIONS: &[&str] = &["CREATE", "UPDATE", "DELETE", "CONNECT"];
const RESULTS: &[&str] = &["pass", "fail", "warning", "error", "skip"];

/// A request to the webhook.
pub static CALL: SpanDeclaration = SpanDeclaration {
    name: "{method} {route}",
    kind: SpanKind::Server,
    description: "One request to the webhook, from its header to its answer, by OpenTelemetry's \
        conventions for HTTP. A path that is no route is not in the name.",
    parent: "The span of the API server, if the request has a `traceparent`.",
    error: "The status code is 500 or more.",
    attributes: &[
        method(),
        original_method(),
        AttributeDeclaration::new(key::URL_SCHEME, OneOf(&["https"]), "The scheme."),
        AttributeDeclaration::new(key::URL_PATH, Text, "The path."),
        AttributeDeclaration::new(key::URL_QUERY, Text, "The query.").only_if("there is one"),
        AttributeDeclaration::new(key::HTTP_ROUTE, Text, "The route.").only_if("there is one"),
        AttributeDeclaration::new(key::SERVER_ADDRESS, Text, "The host that was called.")
            .only_if("the client says it"),
        AttributeDeclaration::new(key::SERVER_PORT, Integer, "The port that was called.")
            .only_if("the client says it"),
        AttributeDeclaration::new(key::NETWORK_PROTOCOL_VERSION, Text, "HTTP's version."),
        AttributeDeclaration::new(key::NETWORK_PEER_ADDRESS, Text, "The client's address."),
        AttributeDeclaration::new(key::NETWORK_PEER_PORT, Integer, "The client's port."),
        AttributeDeclaration::new(key::CLIENT_ADDRESS, Text, "The client's address."),
        AttributeDeclaration::new(key::USER_AGENT_ORIGINAL, Text, "The client's program.")
            .only_if("the client says it"),
        AttributeDeclaration::new(
            key::HTTP_REQUEST_BODY_SIZE,
            Integer,
            "The announced length of the body, in bytes.",
        )
        .only_if("the client says it"),
        AttributeDeclaration::new(
            key::HTTP_RESPONSE_BODY_SIZE,
            Integer,
            "The length of the answer's body, in bytes.",
        )
        .only_if("there was an answer"),
        status_code().only_if("there was an answer"),
        error_type().only_if("the status is an error, or the client left before the answer"),
    ],
};

/// A review.
pub static REVIEW: SpanDeclaration = SpanDeclaration {
    name: "VALIDATE {operation} {group}/{version}, Kind={kind}",
    kind: SpanKind::Internal,
    description: "One admission review, from the parsed request to the decision.",
    parent: "The request that brought it.",
    error: "Never: to deny is no error.",
    attributes: &[
        AttributeDeclaration::new(key::REQUEST_UID, Text, "The API server's name for the request."),
        AttributeDeclaration::new(
            key::REQUEST_NAME,
            Text,
            "The name of the object; empty if it is yet to be generated.",
        ),
        AttributeDeclaration::new(
            key::REQUEST_NAMESPACE,
            Text,
            "The namespace of the object; empty for a cluster-scoped one.",
        ),
        AttributeDeclaration::new(
            key::REQUEST_OPERATION,
            OneOf(OPERATIONS),
            "What is to be done to the object.",
        ),
        AttributeDeclaration::new(
            key::REQUEST_DRY_RUN,
            Boolean,
            "Whether nothing will be stored, whatever the answer is.",
        ),
        AttributeDeclaration::new(key::REQUEST_GROUP, Text, "The API group of the object."),
        AttributeDeclaration::new(key::REQUEST_VERSION, Text, "The version of the object."),
        AttributeDeclaration::new(key::REQUEST_KIND, Text, "The kind of the object."),
        AttributeDeclaration::new(key::REQUEST_KIND_GROUP, Text, "The API group of the object."),
        AttributeDeclaration::new(key::REQUEST_KIND_VERSION, Text, "The version of the object."),
        AttributeDeclaration::new(key::REQUEST_KIND_KIND, Text, "The kind of the object."),
        AttributeDeclaration::new(
            key::REQUEST_SUB_RESOURCE,
            Text,
            "The part of the resource, such as `eviction`; empty for the whole.",
        ),
        AttributeDeclaration::new(key::REQUEST_RESOURCE_GROUP, Text, "The group of the resource."),
        AttributeDeclaration::new(key::REQUEST_RESOURCE_VERSION, Text, "Its version."),
        AttributeDeclaration::new(key::REQUEST_RESOURCE_RESOURCE, Text, "Its plural name."),
        original(key::ORIGINAL_KIND_GROUP, "The group of the kind that the client sent."),
        original(key::ORIGINAL_KIND_VERSION, "The version that the client sent."),
        original(key::ORIGINAL_KIND_KIND, "The kind that the client sent."),
        original(key::ORIGINAL_SUB_RESOURCE, "The part of the resource that the client asked for."),
        original(key::ORIGINAL_RESOURCE_GROUP, "The group of the resource that it asked for."),
        original(key::ORIGINAL_RESOURCE_VERSION, "The version that it asked for."),
        original(key::ORIGINAL_RESOURCE_RESOURCE, "The resource that it asked for."),
        AttributeDeclaration::new(key::REQUEST_USER_NAME, Text, "Who made the request."),
        AttributeDeclaration::new(key::REQUEST_USER_UID, Text, "The uid of who made it."),
        AttributeDeclaration::new(
            key::REQUEST_USER_GROUPS,
            Texts,
            "The groups of who made it, at most 64 of them.",
        ),
        AttributeDeclaration::new(key::RESPONSE_UID, Text, "The uid of the request, again."),
        AttributeDeclaration::new(key::RESPONSE_ALLOWED, Boolean, "Whether the answer allowed it.")
            .only_if("there was an answer"),
        AttributeDeclaration::new(
            key::RESPONSE_WARNINGS,
            Texts,
            "What the client was warned of, at most 64 of them.",
        )
        .only_if("there was an answer and the object is no Secret"),
        AttributeDeclaration::new(
            key::RESPONSE_STATUS,
            OneOf(&["Success", "Failure"]),
            "Whether the request succeeded as far as we are concerned.",
        )
        .only_if("there was an answer"),
        AttributeDeclaration::new(key::RESPONSE_MESSAGE, Text, "Why it was denied.")
            .only_if("it was denied and the object is no Secret"),
        AttributeDeclaration::new(
            key::RESPONSE_REASON,
            OneOf(&["Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge"]),
            "The reason of the Kubernetes API.",
        )
        .only_if("it was denied"),
        AttributeDeclaration::new(
            key::RESPONSE_CODE,
            Integer,
            "The status code that goes with the reason; 200 if it was allowed.",
        )
        .only_if("there was an answer"),
    ],
};

/// A policy that was evaluated for a review.
pub static POLICY: SpanDeclaration = SpanDeclaration {
    name: "POLICY {namespace}/{name}",
    kind: SpanKind::Internal,
    description: "One policy evaluated for one review. The name begins with a slash if the \
        policy is cluster-scoped, as Kyverno's do. What a ValidatingPolicy said is here, because \
        it has but one rule.",
    parent: "The review.",
    error: "It is a ValidatingPolicy that could not be evaluated; the description says why unless \
        the object is a Secret.",
    attributes: &[
        AttributeDeclaration::new(
            key::SPAN_POLICY_GROUP,
            OneOf(&["policies.kyverno.io", "kyverno.io"]),
            "The API group of the policy.",
        ),
        AttributeDeclaration::new(
            key::SPAN_POLICY_VERSION,
            OneOf(&["v1"]),
            "Kyverno's newest version of the kind, whichever it was read in.",
        ),
        AttributeDeclaration::new(
            key::SPAN_POLICY_KIND,
            OneOf(&["ValidatingPolicy", "NamespacedValidatingPolicy", "ClusterPolicy", "Policy"]),
            "The kind of the policy.",
        ),
        AttributeDeclaration::new(key::SPAN_POLICY_NAME, Text, "The policy."),
        AttributeDeclaration::new(
            key::SPAN_POLICY_NAMESPACE,
            Text,
            "Its namespace; empty for a cluster-scoped one.",
        ),
        AttributeDeclaration::new(
            key::SPAN_POLICY_MODE,
            OneOf(&["Deny", "Audit"]),
            "Whether a violation denies the request or is only noted.",
        ),
        result().only_if("it is a ValidatingPolicy"),
        rule_name().only_if("it is a ValidatingPolicy and the rule was generated from it"),
        validation(),
        message(),
        policy_error(),
    ],
};

/// A rule that was evaluated for a review.
pub static RULE: SpanDeclaration = SpanDeclaration {
    name: "RULE {rule}",
    kind: SpanKind::Internal,
    description: "One rule of a ClusterPolicy or a Policy, evaluated for one review. A rule that \
        is not about the request has none.",
    parent: "The policy.",
    error: "The rule could not be evaluated; the description says why unless the object is a \
        Secret.",
    attributes: &[result(), rule_name(), validation(), message(), policy_error()],
};

/// A call to the API server.
pub static KUBE: SpanDeclaration = SpanDeclaration {
    name: "KUBE {resource}.{group}/{operation}",
    kind: SpanKind::Client,
    description: "One call to the API server, to the header of its answer. Only calls that are \
        part of a recorded trace have one, and none says which object it is about.",
    parent: "What made the call.",
    error: "There was no answer, or its status code is 400 or more.",
    attributes: &[
        method(),
        AttributeDeclaration::new(key::SERVER_ADDRESS, Text, "The API server's host.")
            .only_if("the client knows it"),
        AttributeDeclaration::new(key::SERVER_PORT, Integer, "The API server's port.")
            .only_if("the client knows it"),
        AttributeDeclaration::new(key::KUBE_GROUP, Text, "The API group; empty for the core's."),
        AttributeDeclaration::new(
            key::KUBE_RESOURCE,
            Text,
            "The plural name of the resource, with its part, such as `pods/status`.",
        )
        .only_if("the call is about one"),
        AttributeDeclaration::new(
            key::KUBE_OPERATION,
            OneOf(&[
                "get",
                "list",
                "watch",
                "create",
                "update",
                "patch",
                "delete",
                "deletecollection",
                "other",
            ]),
            "What was to be done.",
        ),
        status_code().only_if("there was an answer"),
        error_type().only_if("the status is an error"),
    ],
};

/// A kind that is gone through.
pub static SWEEP: SpanDeclaration = SpanDeclaration {
    name: "SWEEP {group}/{version}, Kind={kind}",
    kind: SpanKind::Internal,
    description: "All objects of a kind that are of this replica's share and that a change or the interval \
        concerns, read and judged page by page.",
    parent: "None: nobody asks for a scan.",
    error: "The process ended meanwhile.",
    attributes: &[
        AttributeDeclaration::new(key::SCAN_GROUP, Text, "The API group; empty for the core's."),
        AttributeDeclaration::new(key::SCAN_VERSION, Text, "The version that is read."),
        AttributeDeclaration::new(key::SCAN_RESOURCE, Text, "The plural name of the resource."),
        scan_namespace(),
        AttributeDeclaration::new(
            key::SWEEP_OUTCOME,
            OneOf(&["complete", "superseded"]),
            "How it ended: superseded ones are begun anew, because policies or shares changed.",
        )
        .only_if("the process did not end meanwhile"),
        AttributeDeclaration::new(key::SCAN_OBJECTS, Integer, "How many were judged.")
            .only_if("the process did not end meanwhile"),
        scan_error(&["Cancelled"]),
    ],
};

/// Objects that a background scan looks at.
pub static SCAN: SpanDeclaration = SpanDeclaration {
    name: "SCAN {group}/{version}, Kind={kind}",
    kind: SpanKind::Internal,
    description: "One page of objects, or one object that changed, read and judged by a background \
        scan.",
    parent: "The sweep, for a page; none for one object.",
    error: "The objects could not be read; they are read again.",
    attributes: &[
        AttributeDeclaration::new(key::SCAN_GROUP, Text, "The API group; empty for the core's."),
        AttributeDeclaration::new(key::SCAN_VERSION, Text, "The version that is read."),
        AttributeDeclaration::new(key::SCAN_RESOURCE, Text, "The plural name of the resource."),
        scan_namespace(),
        AttributeDeclaration::new(key::SCAN_OBJECTS, Integer, "How many were judged.")
            .only_if("the process did not end meanwhile"),
        scan_error(&["Unread", "Cancelled"]),
    ],
};

/// A report.
pub static REPORT: SpanDeclaration = SpanDeclaration {
    name: "REPORT {kind}",
    kind: SpanKind::Internal,
    description: "One policy report, made what it should be.",
    parent: "None: several objects are judged before any report is written.",
    error: "The report could not be written; its object is judged again.",
    attributes: &[
        scan_namespace(),
        AttributeDeclaration::new(
            key::REPORT_OUTCOME,
            OneOf(&["written", "unchanged", "deleted", "failed"]),
            "What became of it.",
        )
        .only_if("the process did not end meanwhile"),
        scan_error(&["Unwritten", "Cancelled"]),
    ],
};

/// All of them, as the reference lists them.
pub static ALL: [&SpanDeclaration; 8] =
    [&CALL, &REVIEW, &POLICY, &RULE, &KUBE, &SWEEP, &SCAN, &REPORT];

const fn scan_namespace() -> AttributeDeclaration {
    AttributeDeclaration::new(
        key::SCAN_NAMESPACE,
        Text,
        "The namespace; empty for all of them, and for what is in none.",
    )
}

const fn scan_error(words: &'static [&'static str]) -> AttributeDeclaration {
    AttributeDeclaration::new(key::ERROR_TYPE, OneOf(words), "What kind of error it was.")
        .only_if("the status is an error")
}

const fn result() -> AttributeDeclaration {
    AttributeDeclaration::new(key::SPAN_POLICY_RESULT, OneOf(RESULTS), "What it said.")
}

const fn rule_name() -> AttributeDeclaration {
    AttributeDeclaration::new(key::SPAN_RULE_NAME, Text, "The name of the rule.")
}

const fn validation() -> AttributeDeclaration {
    AttributeDeclaration::new(
        key::SPAN_POLICY_VALIDATION,
        Integer,
        "The position of the validation that decided.",
    )
    .only_if("one failed or could not be evaluated")
}

const fn message() -> AttributeDeclaration {
    AttributeDeclaration::new(key::SPAN_POLICY_MESSAGE, Text, "What was wrong.")
        .only_if("the result is fail and the object is no Secret")
}

const fn policy_error() -> AttributeDeclaration {
    AttributeDeclaration::new(
        key::ERROR_TYPE,
        OneOf(&["PolicyEvaluation"]),
        "What kind of error it was.",
    )
    .only_if("the result is error")
}

const fn method() -> AttributeDeclaration {
    AttributeDeclaration::new(key::HTTP_REQUEST_METHOD, OneOf(METHODS), "The method.")
}

const fn original_method() -> AttributeDeclaration {
    AttributeDeclaration::new(key::HTTP_REQUEST_METHOD_ORIGINAL, Text, "The method as it was sent.")
        .only_if("HTTP does not know it")
}

const fn status_code() -> AttributeDeclaration {
    AttributeDeclaration::new(
        key::HTTP_RESPONSE_STATUS_CODE,
        Integer,
        "The status code of the answer.",
    )
}

const fn error_type() -> AttributeDeclaration {
    AttributeDeclaration::new(
        key::ERROR_TYPE,
        Text,
        "The status code, or what happened instead of an answer.",
    )
}

/// What the API server converted before it called, as it was before.
const fn original(key: &'static str, description: &'static str) -> AttributeDeclaration {
    AttributeDeclaration::new(key, Text, description).only_if("the API server says it")
}
