//! Which requests a rule is about.
//!
//! Enter at [`Matcher::resources`] and [`Matcher::matches`]. What a matcher can say about a request
//! without its object, [`Matcher::keys`] says for the index of policies.

use pharos_api::policy::MatchResources;

use crate::error::CompileError;
use crate::request::Request;

use resources::Resources;

mod resource_rule;
mod resources;
mod selector;

pub(crate) use resource_rule::Term;

/// What a rule is about.
#[derive(Debug)]
pub(crate) enum Matcher {
    /// Operations on resources.
    Resources(Resources),
}

/// The labels of the request's namespace are asked for, and nobody knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.matchConstraints.namespaceSelector: the request's namespace is not known")]
pub(crate) struct UnknownNamespace;

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
    pub(crate) fn matches(&self, request: &Request<'_>) -> Result<bool, UnknownNamespace> {
        match self {
            Self::Resources(resources) => resources.matches(request),
        }
    }

    /// The groups and resources that a request must be about, for an index of policies.
    pub(crate) fn keys(&self) -> Vec<(&Term, &Term)> {
        match self {
            Self::Resources(resources) => resources.keys().collect(),
        }
    }

    /// Whether the labels of the request's namespace decide.
    pub(crate) fn needs_namespace(&self) -> bool {
        match self {
            Self::Resources(resources) => resources.needs_namespace(),
        }
    }
}

#[cfg(test)]
mod tests;
