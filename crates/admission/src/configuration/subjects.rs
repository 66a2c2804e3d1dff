//! Who is excluded: `excludeUsernames`, `excludeGroups`, `excludeRoles`, `excludeClusterRoles`.

use pharos_policy::{Request, UserRoles, wildcard};

/// Patterns of users, by what they say about them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Subjects {
    pub(super) usernames: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) roles: Vec<String>,
    pub(super) cluster_roles: Vec<String>,
}

/// Who makes a request.
pub(super) struct User<'a> {
    name: &'a str,
    groups: Vec<&'a str>,
}

/// The roles that are bound to somebody, sorted: `namespace:name` and the names of ClusterRoles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles {
    pub(crate) roles: Vec<String>,
    pub(crate) cluster_roles: Vec<String>,
}

/// The patterns of a list, and those that an exclamation mark takes out again.
pub(super) fn parse(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut excluded, mut included) = (Vec::new(), Vec::new());
    for entry in text.split(',').map(str::trim) {
        let (list, pattern) = match entry.strip_prefix('!') {
            Some(pattern) => (&mut included, pattern.trim()),
            None => (&mut excluded, entry),
        };
        if !pattern.is_empty() {
            list.push(pattern.to_owned());
        }
    }
    (excluded, included)
}

// === impl Roles ===

impl Roles {
    /// As policies ask about them.
    pub(crate) fn borrowed(&self) -> UserRoles<'_> {
        UserRoles { roles: &self.roles, cluster_roles: &self.cluster_roles }
    }
}

// === impl User ===

impl<'a> User<'a> {
    pub(super) fn of(request: &Request<'a>) -> Self {
        Self { name: request.user_name(), groups: request.user_groups().collect() }
    }
}

// === impl Subjects ===

impl Subjects {
    pub(super) fn match_any(&self, user: &User<'_>, roles: &Roles) -> bool {
        let any = |patterns: &[String], name: &str| {
            patterns.iter().any(|pattern| wildcard::matches(pattern, name))
        };
        any(&self.usernames, user.name)
            || user.groups.iter().any(|group| any(&self.groups, group))
            || roles.roles.iter().any(|role| any(&self.roles, role))
            || roles.cluster_roles.iter().any(|role| any(&self.cluster_roles, role))
    }

    pub(super) fn name_roles(&self) -> bool {
        !self.roles.is_empty() || !self.cluster_roles.is_empty()
    }
}
