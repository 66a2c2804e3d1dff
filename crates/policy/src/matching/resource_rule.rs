//! Rules: operations on resources, as in a webhook configuration.

use pharos_api::policy::{NamedRuleWithOperations, OperationType, ResourceScope};

use crate::cel::Reason;
use crate::error::CompileError;
use crate::request::{Operation, Request};

/// One compiled rule. All parts must match.
#[derive(Debug)]
pub(super) struct ResourceRule {
    groups: Vec<Term>,
    versions: Vec<Term>,
    resources: Vec<Resource>,
    operations: Vec<OperationType>,
    /// Empty for all.
    names: Vec<String>,
    scope: ResourceScope,
}

/// A name, or `*` for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    All,
    Exactly(String),
}

/// A resource, or a part of one. `pods` is Pods as a whole only, `pods/*` is Pods and every part.
#[derive(Debug)]
struct Resource {
    resource: Term,
    sub_resource: Term,
}

// === impl ResourceRule ===

impl ResourceRule {
    pub(super) fn compile(
        rule: &NamedRuleWithOperations,
        path: &str,
        errors: &mut Vec<CompileError>,
    ) -> Self {
        let NamedRuleWithOperations {
            api_groups,
            api_versions,
            operations,
            resources,
            resource_names,
            scope,
        } = rule;
        let parts = [
            ("apiGroups", api_groups.is_empty()),
            ("apiVersions", api_versions.is_empty()),
            ("operations", operations.is_empty()),
            ("resources", resources.is_empty()),
        ];
        for (field, _) in parts.into_iter().filter(|(_, is_empty)| *is_empty) {
            let path = format!("{path}.{field}");
            errors.push(CompileError::field(
                path,
                Reason::Invalid,
                "an empty list matches nothing",
            ));
        }
        Self {
            groups: api_groups.iter().map(|group| Term::parse(group)).collect(),
            versions: api_versions.iter().map(|version| Term::parse(version)).collect(),
            resources: resources.iter().map(|resource| Resource::parse(resource)).collect(),
            operations: operations.clone(),
            names: resource_names.clone(),
            scope: scope.unwrap_or_default(),
        }
    }

    /// The groups and resources that a request must be about for this rule to match.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&Term, &Term)> {
        self.groups.iter().flat_map(|group| {
            self.resources.iter().map(move |resource| (group, &resource.resource))
        })
    }

    /// How many those are, without naming them.
    pub(super) fn key_count(&self) -> usize {
        self.groups.len().saturating_mul(self.resources.len())
    }

    /// Whether it is about some objects of its resources only.
    pub(super) fn names_objects(&self) -> bool {
        !self.names.is_empty()
    }

    pub(super) fn matches(&self, request: &Request<'_>) -> bool {
        self.operations.iter().any(|operation| is(*operation, request.operation))
            && self.groups.iter().any(|group| group.matches(request.resource.group))
            && self.versions.iter().any(|version| version.matches(request.resource.version))
            && self.resources.iter().any(|resource| resource.matches(request))
            && self.is_named(request)
            && self.is_in_scope(request)
    }

    /// Where the API server has yet to generate the name, what it will begin with decides, as with
    /// Kyverno: `web-1` names a Pod that will be called after `web-1-`.
    fn is_named(&self, request: &Request<'_>) -> bool {
        let is_named = |name: &String| match request.name {
            "" => request.generate_name().starts_with(name.as_str()),
            exactly => exactly == name,
        };
        self.names.is_empty() || self.names.iter().any(is_named)
    }

    fn is_in_scope(&self, request: &Request<'_>) -> bool {
        let is_namespaced = request.namespace.is_some() && !request.is_namespace();
        match self.scope {
            ResourceScope::All => true,
            ResourceScope::Namespaced => is_namespaced,
            ResourceScope::Cluster => !is_namespaced,
        }
    }
}

fn is(rule: OperationType, operation: Operation) -> bool {
    match rule {
        OperationType::All => true,
        OperationType::Create => operation == Operation::Create,
        OperationType::Update => operation == Operation::Update,
        OperationType::Delete => operation == Operation::Delete,
        OperationType::Connect => operation == Operation::Connect,
    }
}

// === impl Term ===

impl Term {
    fn parse(name: &str) -> Self {
        match name {
            "*" => Self::All,
            name => Self::Exactly(name.to_owned()),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Exactly(exactly) => exactly == name,
        }
    }
}

// === impl Resource ===

impl Resource {
    fn parse(name: &str) -> Self {
        let (resource, sub_resource) = name.split_once('/').unwrap_or((name, ""));
        Self { resource: Term::parse(resource), sub_resource: Term::parse(sub_resource) }
    }

    fn matches(&self, request: &Request<'_>) -> bool {
        self.resource.matches(request.resource.resource)
            && self.sub_resource.matches(request.sub_resource.unwrap_or_default())
    }
}
