//! Which requests a policy is about: `matchConstraints`, decided as Kubernetes decides them.
//!
//! Enter at [`Matcher::compile`] and [`Matcher::matches`]. A request is compared in the version in
//! which it comes. The webhook is registered with `matchPolicy: Equivalent` for the rules of all
//! policies together, so the API server converts a request only if no rule of any policy names its
//! version; a policy whose rules name one version of several should name them all. Whether a request
//! was converted is not told apart, so `matchPolicy: Exact` is refused.

use pharos_api::policy::{MatchPolicy, MatchResources};

use crate::cel::Reason;
use crate::error::CompileError;
use crate::request::{Operation, Request};

use rule::Rule;
use selector::Selector;

mod rule;
mod selector;

pub(crate) use rule::Term;

/// How many pairs of a group and a resource the rules of a policy may name: each is an entry of the
/// index of policies.
const MAX_KEYS: usize = 4096;

/// Compiled match constraints.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    namespaces: Option<Selector>,
    objects: Option<Selector>,
}

/// The labels of the request's namespace are asked for, and nobody knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.matchConstraints.namespaceSelector: the request's namespace is not known")]
pub(crate) struct UnknownNamespace;

// === impl Matcher ===

impl Matcher {
    /// Compiles constraints, adding what is wrong with them to `errors`.
    pub(crate) fn compile(constraints: &MatchResources, errors: &mut Vec<CompileError>) -> Self {
        const PATH: &str = "spec.matchConstraints";
        let MatchResources {
            resource_rules,
            exclude_resource_rules,
            namespace_selector,
            object_selector,
            match_policy,
        } = constraints;
        if resource_rules.is_empty() {
            let path = format!("{PATH}.resourceRules");
            errors.push(CompileError::field(path, Reason::Invalid, "at least one rule is needed"));
        }
        if *match_policy == Some(MatchPolicy::Exact) {
            let message = "Exact is not something that this version does";
            let path = format!("{PATH}.matchPolicy");
            errors.push(CompileError::field(path, Reason::Unsupported, message));
        }
        let mut compile = |field: &str, rules: &[_]| {
            let compile =
                |(index, rule)| Rule::compile(rule, &format!("{PATH}.{field}[{index}]"), errors);
            rules.iter().enumerate().map(compile).collect()
        };
        let rules: Vec<Rule> = compile("resourceRules", resource_rules);
        let excluded = compile("excludeResourceRules", exclude_resource_rules);
        if rules.iter().map(Rule::key_count).sum::<usize>() > MAX_KEYS {
            let message = format!("more than {MAX_KEYS} pairs of a group and a resource");
            let path = format!("{PATH}.resourceRules");
            errors.push(CompileError::field(path, Reason::TooComplex, message));
        }
        let mut select = |field: &str, selector: &Option<_>| {
            Selector::compile(selector.as_ref(), &format!("{PATH}.{field}"), errors)
        };
        let namespaces = select("namespaceSelector", namespace_selector);
        let objects = select("objectSelector", object_selector);
        Self { rules, excluded, namespaces, objects }
    }

    /// Whether the policy is about the request.
    pub(crate) fn matches(&self, request: &Request<'_>) -> Result<bool, UnknownNamespace> {
        let matches = self.rules.iter().any(|rule| rule.matches(request))
            && !self.excluded.iter().any(|rule| rule.matches(request))
            && self.selects_object(request);
        // Last, so that an unknown namespace is only held against policies that are concerned.
        Ok(matches && self.selects_namespace(request)?)
    }

    /// The rules, for an index of policies by resource.
    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether the labels of the request's namespace decide.
    pub(crate) fn needs_namespace(&self) -> bool {
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

#[cfg(test)]
mod tests;
