//! Whoever asks: subjects and roles of a filter.

use pharos_api::policy::cluster_policy::Subject;

use super::filter::Unknown;
use crate::request::{Request, UserRoles};
use crate::wildcard;

/// Whom a filter is about; each list that is not empty must have the user in it.
#[derive(Debug, Default)]
pub(super) struct Users {
    pub(super) subjects: Vec<SubjectPattern>,
    /// As `namespace:name`.
    pub(super) roles: Vec<String>,
    pub(super) cluster_roles: Vec<String>,
}

/// A subject, by a pattern for its name.
#[derive(Debug)]
pub(super) enum SubjectPattern {
    /// A user; a service account by the name that it has as a user.
    User(String),
    Group(String),
}

// === impl Users ===

impl Users {
    pub(super) fn is_empty(&self) -> bool {
        self.subjects.is_empty() && !self.need_roles()
    }

    /// Whether it takes knowing the user's roles.
    pub(super) fn need_roles(&self) -> bool {
        !self.roles.is_empty() || !self.cluster_roles.is_empty()
    }

    /// Whether the user is one of them.
    pub(super) fn have(&self, request: &Request<'_>) -> Result<bool, Unknown> {
        let is_subject = |subject: &SubjectPattern| subject.is(request);
        if !self.subjects.is_empty() && !self.subjects.iter().any(is_subject) {
            return Ok(false);
        }
        if !self.need_roles() {
            return Ok(true);
        }
        let UserRoles { roles, cluster_roles } = request.user_roles.ok_or(Unknown::Roles)?;
        let has = |wanted: &[String], has: &[String]| {
            wanted.is_empty() || wanted.iter().any(|role| has.contains(role))
        };
        Ok(has(&self.roles, roles) && has(&self.cluster_roles, cluster_roles))
    }
}

// === impl SubjectPattern ===

impl SubjectPattern {
    /// None for a kind that is no subject.
    pub(super) fn new(subject: &Subject) -> Option<Self> {
        let Subject { kind, name, namespace, api_group: _ } = subject;
        match kind.as_str() {
            "User" => Some(Self::User(name.clone())),
            "Group" => Some(Self::Group(name.clone())),
            "ServiceAccount" => {
                let namespace = namespace.as_deref()?;
                Some(Self::User(format!("system:serviceaccount:{namespace}:{name}")))
            }
            _ => None,
        }
    }

    fn is(&self, request: &Request<'_>) -> bool {
        match self {
            Self::User(pattern) => wildcard::matches(pattern, request.user_name()),
            Self::Group(pattern) => request.user_groups().any(|it| wildcard::matches(pattern, it)),
        }
    }
}

/// Whether nobody is known to ask, as in a scan of what is in the cluster: then no rule is about
/// somebody else.
pub(super) fn nobody_asks(request: &Request<'_>) -> bool {
    request.user_name().is_empty()
        && request.user_groups().next().is_none()
        && request
            .user_roles
            .is_none_or(|known| known.roles.is_empty() && known.cluster_roles.is_empty())
}
