//! Every attribute key. What each means stands in the declarations that use it.

// Metrics, with Kyverno's names.
pub(crate) const CIRCUIT_NAME: &str = "circuit_name";
pub(crate) const CLIENT_TYPE: &str = "client_type";
pub(crate) const CONTROLLER_NAME: &str = "controller_name";
pub(crate) const DRY_RUN: &str = "dry_run";
pub(crate) const EXECUTION_CAUSE: &str = "execution_cause";
pub(crate) const FIELD: &str = "field";
pub(crate) const GROUP: &str = "group";
pub(crate) const HTTP_METHOD: &str = "http.method";
pub(crate) const HTTP_URL: &str = "http.url";
pub(crate) const KIND: &str = "kind";
pub(crate) const NUM_REQUEUES: &str = "num_requeues";
pub(crate) const OPERATION: &str = "operation";
pub(crate) const POLICY_BACKGROUND_MODE: &str = "policy_background_mode";
pub(crate) const POLICY_CHANGE_TYPE: &str = "policy_change_type";
pub(crate) const POLICY_NAME: &str = "policy_name";
pub(crate) const POLICY_NAMESPACE: &str = "policy_namespace";
pub(crate) const POLICY_TYPE: &str = "policy_type";
pub(crate) const POLICY_VALIDATION_MODE: &str = "policy_validation_mode";
pub(crate) const REASON: &str = "reason";
pub(crate) const REQUEST_ALLOWED: &str = "request_allowed";
pub(crate) const REQUEST_WEBHOOK: &str = "request_webhook";
pub(crate) const RESOURCE_KIND: &str = "resource_kind";
pub(crate) const RESOURCE_NAMESPACE: &str = "resource_namespace";
pub(crate) const RESOURCE_REQUEST_OPERATION: &str = "resource_request_operation";
pub(crate) const RESULT: &str = "result";
pub(crate) const RULE_EXECUTION_CAUSE: &str = "rule_execution_cause";
pub(crate) const RULE_NAME: &str = "rule_name";
pub(crate) const RULE_RESULT: &str = "rule_result";
pub(crate) const RULE_TYPE: &str = "rule_type";
pub(crate) const STATUS_READY: &str = "status_ready";
pub(crate) const VERSION: &str = "version";

// Spans of calls, and metrics of a server, with OpenTelemetry's names for HTTP.
pub(crate) const CLIENT_ADDRESS: &str = "client.address";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const HTTP_REQUEST_BODY_SIZE: &str = "http.request.body.size";
pub(crate) const HTTP_REQUEST_METHOD: &str = "http.request.method";
pub(crate) const HTTP_REQUEST_METHOD_ORIGINAL: &str = "http.request.method_original";
pub(crate) const HTTP_RESPONSE_BODY_SIZE: &str = "http.response.body.size";
pub(crate) const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
pub(crate) const HTTP_ROUTE: &str = "http.route";
pub(crate) const NETWORK_PEER_ADDRESS: &str = "network.peer.address";
pub(crate) const NETWORK_PEER_PORT: &str = "network.peer.port";
pub(crate) const NETWORK_PROTOCOL_NAME: &str = "network.protocol.name";
pub(crate) const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const URL_PATH: &str = "url.path";
pub(crate) const URL_QUERY: &str = "url.query";
pub(crate) const URL_SCHEME: &str = "url.scheme";
pub(crate) const USER_AGENT_ORIGINAL: &str = "user_agent.original";

// Spans of reviews, with Kyverno's names.
pub(crate) const REQUEST_UID: &str = "admission.request.uid";
pub(crate) const REQUEST_NAME: &str = "admission.request.name";
pub(crate) const REQUEST_NAMESPACE: &str = "admission.request.namespace";
pub(crate) const REQUEST_OPERATION: &str = "admission.request.operation";
pub(crate) const REQUEST_DRY_RUN: &str = "admission.request.dryrun";
pub(crate) const REQUEST_GROUP: &str = "admission.request.group";
pub(crate) const REQUEST_VERSION: &str = "admission.request.version";
pub(crate) const REQUEST_KIND: &str = "admission.request.kind";
pub(crate) const REQUEST_KIND_GROUP: &str = "admission.request.kind.group";
pub(crate) const REQUEST_KIND_VERSION: &str = "admission.request.kind.version";
pub(crate) const REQUEST_KIND_KIND: &str = "admission.request.kind.kind";
pub(crate) const REQUEST_SUB_RESOURCE: &str = "admission.request.subresource";
pub(crate) const REQUEST_RESOURCE_GROUP: &str = "admission.request.resource.group";
pub(crate) const REQUEST_RESOURCE_VERSION: &str = "admission.request.resource.version";
pub(crate) const REQUEST_RESOURCE_RESOURCE: &str = "admission.request.resource.resource";
pub(crate) const ORIGINAL_KIND_GROUP: &str = "admission.request.requestkind.group";
pub(crate) const ORIGINAL_KIND_VERSION: &str = "admission.request.requestkind.version";
pub(crate) const ORIGINAL_KIND_KIND: &str = "admission.request.requestkind.kind";
pub(crate) const ORIGINAL_SUB_RESOURCE: &str = "admission.request.requestsubresource";
pub(crate) const ORIGINAL_RESOURCE_GROUP: &str = "admission.request.requestresource.group";
pub(crate) const ORIGINAL_RESOURCE_VERSION: &str = "admission.request.requestresource.version";
pub(crate) const ORIGINAL_RESOURCE_RESOURCE: &str = "admission.request.requestresource.resource";
pub(crate) const REQUEST_USER_NAME: &str = "admission.request.user.name";
pub(crate) const REQUEST_USER_UID: &str = "admission.request.user.uid";
pub(crate) const REQUEST_USER_GROUPS: &str = "admission.request.user.groups";
pub(crate) const RESPONSE_UID: &str = "admission.response.uid";
pub(crate) const RESPONSE_ALLOWED: &str = "admission.response.allowed";
pub(crate) const RESPONSE_WARNINGS: &str = "admission.response.warnings";
pub(crate) const RESPONSE_STATUS: &str = "admission.response.result.status";
pub(crate) const RESPONSE_MESSAGE: &str = "admission.response.result.message";
pub(crate) const RESPONSE_REASON: &str = "admission.response.result.reason";
pub(crate) const RESPONSE_CODE: &str = "admission.response.result.code";

// Spans of policies and their rules; what begins with `kyverno` are names that Kyverno has and
// never uses.
pub(crate) const SPAN_POLICY_GROUP: &str = "kyverno.policy.group";
pub(crate) const SPAN_POLICY_KIND: &str = "kyverno.policy.kind";
pub(crate) const SPAN_POLICY_NAME: &str = "kyverno.policy.name";
pub(crate) const SPAN_POLICY_NAMESPACE: &str = "kyverno.policy.namespace";
pub(crate) const SPAN_POLICY_VERSION: &str = "kyverno.policy.version";
pub(crate) const SPAN_RULE_NAME: &str = "kyverno.rule.name";
pub(crate) const SPAN_POLICY_RESULT: &str = "pharos.policy.result";
pub(crate) const SPAN_POLICY_MODE: &str = "pharos.policy.validation_mode";
pub(crate) const SPAN_POLICY_VALIDATION: &str = "pharos.policy.validation";
pub(crate) const SPAN_POLICY_MESSAGE: &str = "pharos.policy.message";

// Spans of calls to the API server; the first two with Kyverno's names.
pub(crate) const KUBE_GROUP: &str = "kube.client.group";
pub(crate) const KUBE_OPERATION: &str = "kube.client.operation";
pub(crate) const KUBE_RESOURCE: &str = "kube.client.resource";

// Spans of background scans.
pub(crate) const SCAN_GROUP: &str = "pharos.scan.group";
pub(crate) const SCAN_VERSION: &str = "pharos.scan.version";
pub(crate) const SCAN_RESOURCE: &str = "pharos.scan.resource";
pub(crate) const SCAN_NAMESPACE: &str = "pharos.scan.namespace";
pub(crate) const SCAN_OBJECTS: &str = "pharos.scan.objects";
pub(crate) const SWEEP_OUTCOME: &str = "pharos.sweep.outcome";
pub(crate) const REPORT_OUTCOME: &str = "pharos.report.outcome";
