//! From `match` and `exclude` as they are written to what decides.

use std::sync::Arc;

use pharos_api::policy::cluster_policy::{
    Match, RequestOperation, ResourceDescription, ResourceFilter, Subject,
};

use super::filter::{Block, Filter, Filters, Resource};
use super::labels::Labels;
use super::user::{SubjectPattern, Users};
use crate::cel::Reason;
use crate::error::CompileError;
use crate::request::Operation;
use crate::rule::KindPattern;

/// The filters of a rule. `namespace` is that of a Policy, and `only` the kinds of a generated rule.
pub(super) fn compile(
    matches: &Match,
    exclude: Option<&Match>,
    namespace: Option<Arc<str>>,
    only: Vec<&'static str>,
    path: &str,
    errors: &mut Vec<CompileError>,
) -> Filters {
    let mut filters = Compilation { namespaced: namespace.is_some(), errors };
    let matched = filters.block(matches, &format!("{path}.match"));
    let exclude = exclude.map(|it| filters.block(it, &format!("{path}.exclude")));
    let compiled = Filters { namespace, only, matches: matched, exclude };
    if compiled.kinds().is_empty() {
        filters.invalid(format!("{path}.match"), "names no kind");
    }
    compiled
}

/// A compilation under way.
struct Compilation<'e> {
    namespaced: bool,
    errors: &'e mut Vec<CompileError>,
}

// === impl Compilation ===

impl Compilation<'_> {
    fn block(&mut self, block: &Match, path: &str) -> Block {
        let Match { any, all, resources, subjects, roles, cluster_roles } = block;
        let filters = |this: &mut Self, field: &str, filters: &[ResourceFilter]| {
            let compile = |(index, it)| this.filter(it, &format!("{path}.{field}[{index}]"));
            filters.iter().enumerate().map(compile).collect()
        };
        let single = resources.is_some()
            || !(subjects.is_empty() && roles.is_empty() && cluster_roles.is_empty());
        if [!any.is_empty(), !all.is_empty(), single].iter().filter(|it| **it).count() > 1 {
            self.invalid(path.to_owned(), "must be one of any, all and a single filter");
        }
        if !any.is_empty() {
            Block::Any(filters(self, "any", any))
        } else if !all.is_empty() {
            Block::All(filters(self, "all", all))
        } else {
            let filter = ResourceFilter {
                resources: resources.clone(),
                subjects: subjects.clone(),
                roles: roles.clone(),
                cluster_roles: cluster_roles.clone(),
            };
            Block::All(vec![self.filter(&filter, path)])
        }
    }

    fn filter(&mut self, filter: &ResourceFilter, path: &str) -> Filter {
        let ResourceFilter { resources, subjects, roles, cluster_roles } = filter;
        let resource = resources.as_ref().map(|it| self.resource(it, &format!("{path}.resources")));
        for (index, role) in roles.iter().enumerate() {
            if role.split(':').count() != 2 {
                self.invalid(format!("{path}.roles[{index}]"), "must be NAMESPACE:NAME");
            }
        }
        let users = Users {
            subjects: self.subjects(subjects, &format!("{path}.subjects")),
            roles: roles.clone(),
            cluster_roles: cluster_roles.clone(),
        };
        Filter { resource: resource.unwrap_or_default(), users }
    }

    fn subjects(&mut self, subjects: &[Subject], path: &str) -> Vec<SubjectPattern> {
        let compile = |(index, subject)| {
            let pattern = SubjectPattern::new(subject);
            if pattern.is_none() {
                let kinds = "must be a User, a Group or a ServiceAccount with its namespace";
                self.invalid(format!("{path}[{index}]"), kinds);
            }
            pattern
        };
        subjects.iter().enumerate().filter_map(compile).collect()
    }

    fn resource(&mut self, resource: &ResourceDescription, path: &str) -> Resource {
        let ResourceDescription {
            kinds,
            name,
            names,
            namespaces,
            annotations,
            selector,
            namespace_selector,
            operations,
        } = resource;
        let name = name.as_ref().filter(|name| !name.is_empty());
        if name.is_some() && !names.is_empty() {
            self.invalid(path.to_owned(), "must have one of name and names");
        }
        if self.namespaced && !namespaces.is_empty() {
            let message = "a Policy is about its own namespace";
            self.invalid(format!("{path}.namespaces"), message);
        }
        let mut labels = |selector: &Option<_>, field: &str| {
            let path = format!("{path}.{field}");
            selector.as_ref().map(|it| Labels::compile(it, &path, self.errors))
        };
        let (labels, namespace_labels) =
            (labels(selector, "selector"), labels(namespace_selector, "namespaceSelector"));
        Resource {
            kinds: self.kinds(kinds, &format!("{path}.kinds")),
            names: name.into_iter().chain(names).cloned().collect(),
            namespaces: namespaces.clone(),
            annotations: annotations.clone().into_iter().collect(),
            labels,
            namespace_labels,
            operations: operations.iter().map(|it| operation(*it)).collect(),
        }
    }

    fn kinds(&mut self, kinds: &[String], path: &str) -> Vec<KindPattern> {
        let compile = |(index, kind): (usize, &String)| {
            let pattern = KindPattern::parse(kind);
            if pattern.is_none() {
                self.invalid(format!("{path}[{index}]"), "has more parts than a kind");
            }
            pattern
        };
        kinds.iter().enumerate().filter_map(compile).collect()
    }

    fn invalid(&mut self, path: String, message: &str) {
        self.errors.push(CompileError::field(path, Reason::Invalid, message));
    }
}

fn operation(operation: RequestOperation) -> Operation {
    match operation {
        RequestOperation::Create => Operation::Create,
        RequestOperation::Update => Operation::Update,
        RequestOperation::Delete => Operation::Delete,
        RequestOperation::Connect => Operation::Connect,
    }
}
