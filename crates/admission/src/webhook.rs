//! The webhooks of one server, as the API server tells them apart: by name and by path.
//!
//! The API server knows one failure policy and one match policy per webhook, so policies are served
//! in groups, each by its own [`Endpoint`]. A path says which policies a call is for, so that a call
//! by a registration that is being replaced is understood.

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhook;
use pharos_api::policy::FailurePolicy;
use pharos_policy::{CompiledPolicy, PolicyKey, PolicyKind};

use crate::policies::Kind;
use crate::policy_review;

/// What one webhook is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Endpoint {
    /// What the API server does if it cannot call.
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) serves: Serves,
}

/// Which policies of one failure policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Serves {
    /// Those that see requests in whichever version they come, converted where need be. Of policies
    /// that name different versions of one resource each is of another set.
    Equivalent(u8),
    /// Those that see requests only in the versions that they name.
    Exact,
    /// One policy, whose match conditions the API server evaluates.
    One(PolicyKey),
}

/// Where reviews are sent; beneath is the failure policy.
const ROOT: &str = "/validate/";
const EXACT: &str = "exact";
/// What the names of our webhooks end with.
const DOMAIN: &str = "validate.pharos.dev";
/// The webhook that looks at policies.
pub(crate) const FOR_POLICIES: &str = "policies.validate.pharos.dev";

// === impl Endpoint ===

impl Endpoint {
    /// The webhook that most policies of a failure policy share.
    #[cfg(test)]
    pub(crate) fn shared(failure_policy: FailurePolicy) -> Self {
        Self { failure_policy, serves: Serves::Equivalent(0) }
    }

    /// The webhook that a policy has of its own, where it has one.
    pub(crate) fn alone(policy: &CompiledPolicy) -> Self {
        let serves = Serves::One(policy.key().clone());
        Self { failure_policy: policy.failure_policy(), serves }
    }

    /// The endpoint that a path names.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix(ROOT)?.split('/');
        let failure_policy = match segments.next()? {
            "ignore" => FailurePolicy::Ignore,
            "fail" => FailurePolicy::Fail,
            _ => return None,
        };
        let segments: Vec<_> = segments.collect();
        let serves = match segments[..] {
            [] => Serves::Equivalent(0),
            [EXACT] => Serves::Exact,
            [set] => Serves::Equivalent(set.parse().ok().filter(|set| *set > 0)?),
            ref policy => Serves::One(key(policy)?),
        };
        Some(Self { failure_policy, serves })
    }

    /// The path that the API server calls.
    pub(crate) fn path(&self) -> String {
        let group = format!("{ROOT}{}", word(self.failure_policy));
        match &self.serves {
            Serves::Equivalent(0) => group,
            Serves::Equivalent(set) => format!("{group}/{set}"),
            Serves::Exact => format!("{group}/{EXACT}"),
            Serves::One(policy) => format!("{group}/{}", segments(policy).join("/")),
        }
    }

    /// The webhook's name: a label of the API server's metrics and a part of its error messages.
    pub(crate) fn name(&self) -> String {
        let group = word(self.failure_policy);
        match &self.serves {
            Serves::Equivalent(0) => format!("{group}.{DOMAIN}"),
            Serves::Equivalent(set) => format!("{group}-{set}.{DOMAIN}"),
            Serves::Exact => format!("{group}-{EXACT}.{DOMAIN}"),
            Serves::One(policy) => {
                let mut labels = segments(policy);
                labels.reverse();
                format!("{}.{group}.{DOMAIN}", labels.join("."))
            }
        }
    }

    /// The value of `failurePolicy`.
    pub(crate) fn failure_policy(&self) -> &'static str {
        match self.failure_policy {
            FailurePolicy::Ignore => "Ignore",
            FailurePolicy::Fail => "Fail",
        }
    }
}

/// The kind's plural, the namespace where it has one, and the name. Each can be a part of a path and
/// of a DNS name, because Kubernetes admits no other ones.
fn segments(policy: &PolicyKey) -> Vec<&str> {
    let plural = std::iter::once(plural(policy.kind));
    plural.chain(policy.namespace.as_deref()).chain(std::iter::once(&*policy.name)).collect()
}

/// From what [`segments`] makes of it.
fn key(segments: &[&str]) -> Option<PolicyKey> {
    let (found, rest) = segments.split_first()?;
    let kind = PolicyKind::ALL.into_iter().find(|kind| plural(*kind) == *found)?;
    let (namespace, name) = match *rest {
        [name] if !kind.is_namespaced() => (None, name),
        [namespace, name] if kind.is_namespaced() => (Some(namespace), name),
        _ => return None,
    };
    let is_empty = name.is_empty() || namespace.is_some_and(str::is_empty);
    (!is_empty).then(|| PolicyKey { kind, namespace: namespace.map(Into::into), name: name.into() })
}

fn plural(kind: PolicyKind) -> &'static str {
    Kind::from(kind).custom().plural
}

fn word(failure_policy: FailurePolicy) -> &'static str {
    match failure_policy {
        FailurePolicy::Ignore => "ignore",
        FailurePolicy::Fail => "fail",
    }
}

/// The path that is called, if it is one of ours, as a span tells it: without the names of policies.
pub(crate) fn route(called: &str) -> Option<&'static str> {
    if called == policy_review::PATH {
        return Some(policy_review::PATH);
    }
    let Endpoint { failure_policy, serves } = Endpoint::parse(called)?;
    Some(match (failure_policy, serves) {
        (FailurePolicy::Ignore, Serves::Equivalent(0)) => "/validate/ignore",
        (FailurePolicy::Fail, Serves::Equivalent(0)) => "/validate/fail",
        (FailurePolicy::Ignore, Serves::Equivalent(_)) => "/validate/ignore/{set}",
        (FailurePolicy::Fail, Serves::Equivalent(_)) => "/validate/fail/{set}",
        (FailurePolicy::Ignore, Serves::Exact) => "/validate/ignore/exact",
        (FailurePolicy::Fail, Serves::Exact) => "/validate/fail/exact",
        (FailurePolicy::Ignore, Serves::One(_)) => "/validate/ignore/{policy}",
        (FailurePolicy::Fail, Serves::One(_)) => "/validate/fail/{policy}",
    })
}

/// Whether a webhook of our configuration is one of ours, and not one that somebody has added.
pub(crate) fn is_ours(webhook: &ValidatingWebhook) -> bool {
    webhook.name.ends_with(DOMAIN)
}

/// Whether it is called about resources, by what policies ask for.
pub(crate) fn is_for_resources(webhook: &ValidatingWebhook) -> bool {
    is_ours(webhook) && webhook.name != FOR_POLICIES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_endpoint_and_nothing_else_does() {
        for (path, name) in [
            ("/validate/ignore", "ignore.validate.pharos.dev"),
            ("/validate/fail", "fail.validate.pharos.dev"),
            ("/validate/fail/1", "fail-1.validate.pharos.dev"),
            ("/validate/ignore/exact", "ignore-exact.validate.pharos.dev"),
            (
                "/validate/fail/validatingpolicies/a.b",
                "a.b.validatingpolicies.fail.validate.pharos.dev",
            ),
            ("/validate/fail/policies/ns/a.b", "a.b.ns.policies.fail.validate.pharos.dev"),
        ] {
            let endpoint = Endpoint::parse(path).unwrap();
            assert_eq!((endpoint.path(), endpoint.name()), (path.to_owned(), name.to_owned()));
            assert!(route(path).is_some(), "{path}");
        }
        for path in [
            "",
            "/validate",
            "/validate/",
            "/validate/other",
            "/validate/fail/",
            "/validate/fail/0",
            "/validate/fail/256",
            "/validate/fail/pods/a",
            "/validate/fail/validatingpolicies/",
            "/validate/fail/validatingpolicies/a/b",
            "/validate/fail/policies/a",
            "/validate/fail/policies/a/b/c",
        ] {
            assert_eq!(Endpoint::parse(path), None, "{path}");
        }
    }
}
