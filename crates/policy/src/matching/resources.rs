//! `matchConstraints`: operations on resources, decided as Kubernetes decides them.
//!
//! A request is compared in the version in which it comes. Whoever registers webhooks sees to it that
//! the API server converts requests to a version that the policy names: policies that name different
//! versions of one resource cannot share a webhook. To a policy of `matchPolicy: Exact`, a request that
//! was converted is none that it names.

use pharos_api::policy::{MatchPolicy, MatchResources};

use crate::cel::Reason;
use crate::error::CompileError;
use crate::request::{Operation, Request};

use super::UnknownNamespace;
use super::resource_rule::{ResourceRule, Term};
use super::selector::Selector;

/// How many pairs of a group and a resource the rules of a policy may name: each is an entry of the
/// index of policies.
const MAX_KEYS: usize = 4096;

/// Compiled match constraints.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    rules: Vec<ResourceRule>,
    excluded: Vec<ResourceRule>,
    namespaces: Option<Selector>,
    objects: Option<Selector>,
    versions: MatchPolicy,
}

// === impl Resources ===

impl Resources {
    /// Compiles constraints, adding what is wrong with them to `errors`.
    pub(super) fn compile(
        constraints: &MatchResources,
        path: &str,
        errors: &mut Vec<CompileError>,
    ) -> Self {
        let path_of = |field: &str| format!("{path}.matchConstraints.{field}");
        let MatchResources {
            resource_rules,
            exclude_resource_rules,
            namespace_selector,
            object_selector,
            match_policy,
        } = constraints;
        if resource_rules.is_empty() {
            let path = path_of("resourceRules");
            errors.push(CompileError::field(path, Reason::Invalid, "at least one rule is needed"));
        }
        let mut compile = |field: &str, rules: &[_]| {
            let compile = |(index, rule)| {
                ResourceRule::compile(rule, &format!("{}[{index}]", path_of(field)), errors)
            };
            rules.iter().enumerate().map(compile).collect()
        };
        let rules: Vec<ResourceRule> = compile("resourceRules", resource_rules);
        let excluded = compile("excludeResourceRules", exclude_resource_rules);
        if rules.iter().map(ResourceRule::key_count).sum::<usize>() > MAX_KEYS {
            let message = format!("more than {MAX_KEYS} pairs of a group and a resource");
            let path = path_of("resourceRules");
            errors.push(CompileError::field(path, Reason::TooComplex, message));
        }
        let mut select = |field: &str, selector: &Option<_>| {
            Selector::compile(selector.as_ref(), &path_of(field), errors)
        };
        let namespaces = select("namespaceSelector", namespace_selector);
        let objects = select("objectSelector", object_selector);
        let versions = match_policy.unwrap_or_default();
        Self { rules, excluded, namespaces, objects, versions }
    }

    pub(super) fn matches(&self, request: &Request<'_>) -> Result<bool, UnknownNamespace> {
        let matches = self.allows_version(request)
            && self.rules.iter().any(|rule| rule.matches(request))
            && !self.excluded.iter().any(|rule| rule.matches(request))
            && self.selects_object(request);
        // Last, so that an unknown namespace is only held against policies that are concerned.
        Ok(matches && self.selects_namespace(request)?)
    }

    /// The groups and resources that a request must be about.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&Term, &Term)> {
        self.rules.iter().flat_map(ResourceRule::keys)
    }

    fn allows_version(&self, request: &Request<'_>) -> bool {
        match self.versions {
            MatchPolicy::Exact => !request.is_converted(),
            MatchPolicy::Equivalent => true,
        }
    }

    /// Whether it is about less than its rules say, as the rules of a webhook have them.
    pub(super) fn is_narrowed(&self) -> bool {
        !self.excluded.is_empty()
            || self.namespaces.is_some()
            || self.objects.is_some()
            || self.rules.iter().any(ResourceRule::names_objects)
    }

    /// Whether the labels of the request's namespace decide.
    pub(super) fn needs_namespace(&self) -> bool {
        self.namespaces.is_some()
    }

    /// Either state of the object will do.
    fn selects_object(&self, request: &Request<'_>) -> bool {
        self.objects.as_ref().is_none_or(|selector| {
            selector.selects(request.object) || selector.selects(request.old_object)
        })
    }

    fn selects_namespace(&self, request: &Request<'_>) -> Result<bool, UnknownNamespace> {
        let Some(selector) = &self.namespaces else {
            return Ok(true);
        };
        if request.is_namespace() && request.sub_resource.is_none() {
            let namespace = match request.operation {
                Operation::Delete => request.old_object,
                _ => request.object,
            };
            return Ok(selector.selects(namespace));
        }
        match (request.namespace, request.namespace_object) {
            (None, _) => Ok(true),
            (Some(_), Some(namespace)) => Ok(selector.selects(namespace)),
            (Some(_), None) => Err(UnknownNamespace),
        }
    }
}
