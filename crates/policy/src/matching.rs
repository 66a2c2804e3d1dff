//! Which requests a rule is about.
//!
//! Enter at [`Matcher::resources`] and [`Matcher::matches`]. What a matcher can say about a request
//! without its object, [`Matcher::keys`] says for the index of policies.

use pharos_api::policy::MatchResources;

use crate::cluster_policy::{Filters, Unknown};
use crate::error::CompileError;
use crate::request::Request;

use resources::Resources;

mod resource_rule;
mod resources;
mod selector;

pub(crate) use resource_rule::Term;
pub(crate) use selector::Selector;

/// What a rule is about.
#[derive(Debug)]
pub(crate) enum Matcher {
    /// Operations on resources.
    Resources(Resources),
    /// Kinds, and who asks.
    Filters(Filters),
}

/// The labels of the request's namespace are asked for, and nobody knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.matchConstraints.namespaceSelector: the request's namespace is not known")]
pub(crate) struct UnknownNamespace;

/// Why nobody can say whether a rule is about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undecided {
    #[error(transparent)]
    Resources(#[from] UnknownNamespace),
    #[error(transparent)]
    Filters(#[from] Unknown),
}

// === impl Matcher ===

impl Matcher {
    /// Compiles the constraints of a spec at that path, adding what is wrong with them to `errors`.
    pub(crate) fn resources(
        constraints: &MatchResources,
        path: &str,
        errors: &mut Vec<CompileError>,
    ) -> Self {
        Self::Resources(Resources::compile(constraints, path, errors))
    }

    /// Whether the rule is about the request.
    pub(crate) fn matches(&self, request: &Request<'_>) -> Result<bool, Undecided> {
        match self {
            Self::Resources(resources) => Ok(resources.matches(request)?),
            Self::Filters(filters) => Ok(filters.matches(request)?),
        }
    }

    /// The groups and resources that a request must be about, for an index of policies.
    pub(crate) fn keys(&self) -> Vec<(&Term, &Term)> {
        match self {
            Self::Resources(resources) => resources.keys().collect(),
            // Which resources are of a kind is not known here.
            Self::Filters(_) => vec![(&Term::All, &Term::All)],
        }
    }

    /// Whether it is about less than its rules say, as the rules of a webhook have them. Filters
    /// always may be; what is a condition beside them is said of the webhook.
    pub(crate) fn is_narrowed(&self) -> bool {
        match self {
            Self::Resources(resources) => resources.is_narrowed(),
            Self::Filters(_) => false,
        }
    }

    /// Whether the labels of the request's namespace decide.
    pub(crate) fn needs_namespace(&self) -> bool {
        match self {
            Self::Resources(resources) => resources.needs_namespace(),
            Self::Filters(filters) => filters.needs_namespace(),
        }
    }

    /// Whether the roles of the user decide.
    pub(crate) fn needs_roles(&self) -> bool {
        match self {
            Self::Resources(_) => false,
            Self::Filters(filters) => filters.needs_roles(),
        }
    }
}

#[cfg(test)]
mod tests;
