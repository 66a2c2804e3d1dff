//! What no policy sees, whatever its rules: said to the API server, so that it holds while every
//! replica is away. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::MatchCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// Pharos must not stand in the way of its own leadership and configuration, of the repair of any
/// policy, or of who may enter the cluster; and a policy that fails closed must not stop, while every
/// replica is away, what nodes and the control plane themselves write to go on and to tell what is
/// wrong. A kubelet that cannot write its CSINode gives up after a while.
const NOT_VITAL: &str = "!(request.resource.group in ['policies.kyverno.io', 'kyverno.io', \
     'telemetry.pharos.dev', 'wgpolicyk8s.io', 'openreports.io', 'reports.kyverno.io', \
     'admissionregistration.k8s.io', 'apiregistration.k8s.io', 'authentication.k8s.io', \
     'authorization.k8s.io', 'certificates.k8s.io', 'events.k8s.io', \
     'flowcontrol.apiserver.k8s.io']) && \
     !(request.resource.group == '' && request.resource.resource in ['events', 'nodes']) && \
     !(request.resource.group == 'coordination.k8s.io' && request.resource.resource == 'leases') && \
     !(request.resource.group == 'storage.k8s.io' && request.resource.resource == 'csinodes')";

/// What the API server calls itself.
const API_SERVER: &str = "system:apiserver";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// The ServiceAccount that this process is, by its username.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnUser(String);

// === impl OwnUser ===

impl OwnUser {
    /// None for anybody but a ServiceAccount: the credentials of a person, with which a process may be
    /// tried out, are not Pharos's.
    pub(super) fn parse(username: &str) -> Option<Self> {
        let account = username.strip_prefix(SERVICE_ACCOUNT)?;
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
        account.bytes().all(named).then(|| Self(username.to_owned()))
    }
}

// === match_conditions, namespace_selector ===

/// The conditions that every webhook for resources has.
pub(super) fn match_conditions(own_user: Option<&OwnUser>) -> Vec<MatchCondition> {
    vec![
        MatchCondition { name: "not-vital".to_owned(), expression: NOT_VITAL.to_owned() },
        not_our_own(own_user),
    ]
}

/// Whom no webhook of ours is called for.
pub(super) fn not_our_own(own_user: Option<&OwnUser>) -> MatchCondition {
    let users = std::iter::once(API_SERVER).chain(own_user.map(|user| user.0.as_str()));
    let users: Vec<_> = users.map(|user| format!("'{user}'")).collect();
    MatchCondition {
        name: "not-our-own".to_owned(),
        expression: format!("!(request.userInfo.username in [{}])", users.join(", ")),
    }
}

/// All namespaces but the engine's own, which comes first, and these; of those only one, where a
/// webhook is for a policy that is in one.
pub(super) fn namespace_selector(
    own: &str,
    others: &BTreeSet<String>,
    only: Option<&str>,
) -> LabelSelector {
    let requirement = |operator: &str, values: Vec<String>| LabelSelectorRequirement {
        key: "kubernetes.io/metadata.name".to_owned(),
        operator: operator.to_owned(),
        values: Some(values),
    };
    let others = others.iter().map(String::as_str).filter(|it| *it != own);
    let unseen = std::iter::once(own).chain(others).map(str::to_owned).collect();
    let seen = only.map(|namespace| requirement("In", vec![namespace.to_owned()]));
    LabelSelector {
        match_expressions: Some([requirement("NotIn", unseen)].into_iter().chain(seen).collect()),
        match_labels: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_account_is_our_own() {
        for (username, ours) in [
            ("system:serviceaccount:pharos:pharos", true),
            ("system:serviceaccount:pharos:a.b-c", true),
            ("kubernetes-admin", false),
            ("system:serviceaccount:a:b'] || true", false),
            ("", false),
        ] {
            assert_eq!(OwnUser::parse(username).is_some(), ours, "{username}");
        }
        let own = OwnUser::parse("system:serviceaccount:pharos:pharos").unwrap();
        assert_eq!(
            not_our_own(Some(&own)).expression,
            "!(request.userInfo.username in ['system:apiserver', \
             'system:serviceaccount:pharos:pharos'])"
        );
    }
}
