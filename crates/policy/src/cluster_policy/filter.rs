//! Which requests a rule is about: `match` and `exclude`, decided as Kyverno decides them.
//!
//! Enter at [`Filters::matches`]. A request is compared by the kind of the resource that it is about
//! and not by that of the object that it carries: `Pod/exec` carries PodExecOptions.

use std::sync::{Arc, LazyLock};

use super::labels::Labels;
use super::user::{self, Users};
use crate::json::Json;
use crate::request::{Operation, Request};
use crate::rule::{KindPattern, RegisteredKind};
use crate::wildcard;

/// `match` and `exclude` of a rule.
#[derive(Debug)]
pub(crate) struct Filters {
    /// The only namespace that a Policy is about.
    pub(super) namespace: Option<Arc<str>>,
    /// The kinds that a generated rule is about at all; empty for a rule that was written.
    pub(super) only: Vec<&'static str>,
    pub(super) matches: Block,
    pub(super) exclude: Option<Block>,
}

/// How filters are put together.
#[derive(Debug)]
pub(super) enum Block {
    Any(Vec<Filter>),
    All(Vec<Filter>),
}

/// Resources and users. All that is set must match.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) resource: Resource,
    pub(super) users: Users,
}

/// Resources. All that is set must match; of each list one entry.
#[derive(Debug, Default)]
pub(super) struct Resource {
    pub(super) kinds: Vec<KindPattern>,
    pub(super) names: Vec<String>,
    pub(super) namespaces: Vec<String>,
    /// Patterns of keys and values.
    pub(super) annotations: Vec<(String, String)>,
    pub(super) labels: Option<Labels>,
    pub(super) namespace_labels: Option<Labels>,
    pub(super) operations: Vec<Operation>,
}

/// What decides, and nobody knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unknown {
    #[error("namespaceSelector: the request's namespace is not known")]
    Namespace,
    #[error("roles: the roles of the user are not known")]
    Roles,
}

/// Who a filter asks about users, where nobody asks.
#[derive(Clone, Copy)]
enum Side {
    Match,
    Exclude,
}

// === impl Filters ===

impl Filters {
    /// Whether the rule is about the request.
    pub(crate) fn matches(&self, request: &Request<'_>) -> Result<bool, Unknown> {
        let elsewhere = |namespace: &Arc<str>| {
            request.is_namespace() || request.namespace != Some(namespace.as_ref())
        };
        if self.namespace.as_ref().is_some_and(elsewhere)
            || !self.only.is_empty() && !self.only.contains(&request.resource_kind.kind)
            || !self.matches.matches(request, Side::Match)?
        {
            return Ok(false);
        }
        let excluded = |block: &Block| block.matches(request, Side::Exclude);
        Ok(!self.exclude.as_ref().map(excluded).transpose()?.unwrap_or(false))
    }

    /// Whether the labels of the request's namespace decide.
    pub(crate) fn needs_namespace(&self) -> bool {
        self.filters().any(|filter| filter.resource.namespace_labels.is_some())
    }

    /// Whether the user's roles decide.
    pub(crate) fn needs_roles(&self) -> bool {
        self.filters().any(|filter| filter.users.need_roles())
    }

    /// The kinds that `match` names, with what is done to them.
    pub(super) fn kinds(&self) -> Vec<RegisteredKind> {
        let mut kinds: Vec<RegisteredKind> = Vec::new();
        let all = [Operation::Create, Operation::Update, Operation::Delete, Operation::Connect];
        for resource in self.matches.filters().iter().map(|filter| &filter.resource) {
            let operations = match &resource.operations[..] {
                [] => &all[..],
                operations => operations,
            };
            for kind in &resource.kinds {
                match kinds.iter_mut().find(|known| known.kind == *kind) {
                    Some(known) => known.add(operations),
                    None => kinds
                        .push(RegisteredKind { kind: kind.clone(), operations: operations.into() }),
                }
            }
        }
        kinds
    }

    fn filters(&self) -> impl Iterator<Item = &Filter> {
        self.matches.filters().iter().chain(self.exclude.iter().flat_map(Block::filters))
    }
}

// === impl Block ===

impl Block {
    fn filters(&self) -> &[Filter] {
        match self {
            Self::Any(filters) | Self::All(filters) => filters,
        }
    }

    /// What is not known matters only where the other filters leave it open.
    fn matches(&self, request: &Request<'_>, side: Side) -> Result<bool, Unknown> {
        let (filters, decisive) = match self {
            Self::Any(filters) => (filters, true),
            Self::All(filters) => (filters, false),
        };
        let mut open = None;
        for filter in filters {
            match filter.matches(request, side) {
                Ok(matches) if matches == decisive => return Ok(decisive),
                Ok(_) => {}
                Err(unknown) => open = Some(unknown),
            }
        }
        open.map_or(Ok(!decisive), Err)
    }
}

// === impl Filter ===

impl Filter {
    fn matches(&self, request: &Request<'_>, side: Side) -> Result<bool, Unknown> {
        let anybody = match side {
            Side::Match => self.users.is_empty() || user::nobody_asks(request),
            Side::Exclude => self.users.is_empty(),
        };
        // A filter that asks for nothing is about nothing.
        if anybody && self.resource.is_empty() || !self.resource.matches(request) {
            return Ok(false);
        }
        let users = if anybody { Ok(true) } else { self.users.have(request) };
        match (self.resource.selects_namespace(request), users) {
            (Ok(false), _) | (_, Ok(false)) => Ok(false),
            (Err(unknown), _) | (_, Err(unknown)) => Err(unknown),
            (Ok(true), Ok(true)) => Ok(true),
        }
    }
}

// === impl Resource ===

impl Resource {
    fn is_empty(&self) -> bool {
        let Self { kinds, names, namespaces, annotations, labels, namespace_labels, operations } =
            self;
        kinds.is_empty()
            && names.is_empty()
            && namespaces.is_empty()
            && annotations.is_empty()
            && labels.is_none()
            && namespace_labels.is_none()
            && operations.is_empty()
    }

    /// All but the labels of the namespace.
    fn matches(&self, request: &Request<'_>) -> bool {
        let object = if request.object.is_object() { request.object } else { request.old_object };
        let unset_or = |is_empty: bool, matches: &dyn Fn() -> bool| is_empty || matches();
        let kind = request.resource_kind;
        let part = request.sub_resource.unwrap_or_default();
        unset_or(self.operations.is_empty(), &|| self.operations.contains(&request.operation))
            && unset_or(self.kinds.is_empty(), &|| {
                self.kinds.iter().any(|pattern| pattern.is_about(kind, part))
            })
            && unset_or(self.names.is_empty(), &|| {
                wildcard::any_matches(&self.names, name(request, object))
            })
            && unset_or(self.namespaces.is_empty(), &|| {
                wildcard::any_matches(&self.namespaces, request.namespace.unwrap_or_default())
            })
            && self.annotations.iter().all(|pattern| is_annotated(object, pattern))
            && self.labels.as_ref().is_none_or(|labels| labels.selects(object))
    }

    fn selects_namespace(&self, request: &Request<'_>) -> Result<bool, Unknown> {
        // What is in no namespace has a namespace without labels.
        static NO_LABELS: LazyLock<Json<'static>> = LazyLock::new(Json::empty);
        let Some(labels) = &self.namespace_labels else { return Ok(true) };
        match (request.namespace, request.namespace_object) {
            _ if request.is_namespace() => Ok(false),
            (_, Some(namespace)) => Ok(labels.selects(namespace)),
            (None, None) => Ok(labels.selects(&NO_LABELS)),
            (Some(_), None) => Err(Unknown::Namespace),
        }
    }
}

/// The object's name, or the prefix of the name that it is to get.
fn name<'a>(request: &Request<'a>, object: &'a Json<'a>) -> &'a str {
    let text =
        |field: &str| object.pointer(field).and_then(Json::as_str).filter(|text| !text.is_empty());
    let name = text("/metadata/name").or_else(|| text("/metadata/generateName"));
    name.unwrap_or(request.name)
}

fn is_annotated(object: &Json<'_>, (key, value): &(String, String)) -> bool {
    let annotations = object.pointer("/metadata/annotations").and_then(Json::as_object);
    annotations.into_iter().flatten().any(|(name, text)| {
        wildcard::matches(key, name)
            && text.as_str().is_some_and(|text| wildcard::matches(value, text))
    })
}
