//! The two webhooks of one server: what differs between policies that fail open and closed.
//!
//! The API server knows one failure policy per webhook, so policies are served in two groups. Each
//! has its own path and evaluates only its own policies, so that none is evaluated twice.

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhook;
use pharos_api::policy::FailurePolicy;

use crate::policy_review;

/// Both groups, in the order in which they are registered.
pub(crate) const GROUPS: [FailurePolicy; 2] = [FailurePolicy::Ignore, FailurePolicy::Fail];

/// The path that the API server calls for a group.
pub(crate) fn path(group: FailurePolicy) -> &'static str {
    match group {
        FailurePolicy::Ignore => "/validate/ignore",
        FailurePolicy::Fail => "/validate/fail",
    }
}

/// The path that is called, if it is one of ours.
pub(crate) fn route(called: &str) -> Option<&'static str> {
    GROUPS.into_iter().map(path).chain([policy_review::PATH]).find(|path| *path == called)
}

/// The webhook's name: a label of the API server's metrics and a part of its error messages.
pub(crate) fn name(group: FailurePolicy) -> &'static str {
    match group {
        FailurePolicy::Ignore => "ignore.validate.pharos.dev",
        FailurePolicy::Fail => "fail.validate.pharos.dev",
    }
}

/// Whether a webhook of our configuration is one of ours, and not one that somebody has added.
pub(crate) fn is_ours(webhook: &ValidatingWebhook) -> bool {
    GROUPS.into_iter().any(|group| name(group) == webhook.name)
}

/// The value of `failurePolicy`.
pub(crate) fn failure_policy(group: FailurePolicy) -> &'static str {
    match group {
        FailurePolicy::Ignore => "Ignore",
        FailurePolicy::Fail => "Fail",
    }
}
