//! One entry of `resourceFilters`: `[kind,namespace,name]`, each with wildcards.
//!
//! The kind may be written with its group and version and with a subresource: `Pod`, `v1/Pod`,
//! `apps/v1/Deployment`, `Pod/exec`, `Pod.exec`, `*/*`. A request names the resource of a
//! subresource and not its kind (`pods` of `pods/binding`); its kind is guessed from the name, which
//! is right for every kind of Kubernetes.

use pharos_policy::{KindPattern, Request, wildcard};

use super::shown;

/// Requests that no policy is to see.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    kind: KindPattern,
    namespace: String,
    name: String,
}

/// The entries of a list, and what in it is none.
pub(super) fn parse(text: &str) -> (Vec<Filter>, Vec<String>) {
    let (mut filters, mut problems) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        problems.extend(stray(before));
        let Some((entry, after)) = after.split_once(']') else {
            problems.push(format!("{:?} has no end", shown(after)));
            return (filters, problems);
        };
        match Filter::parse(entry) {
            Ok(filter) => {
                problems.extend(filter.note(entry));
                filters.push(filter);
            }
            Err(problem) => problems.push(format!("[{}]: {problem}", shown(entry))),
        }
        rest = after;
    }
    problems.extend(stray(rest));
    (filters, problems)
}

/// What stands between entries, if it means anything.
fn stray(text: &str) -> Option<String> {
    let text = text.trim_matches(|char: char| char.is_whitespace() || char == ',');
    (!text.is_empty()).then(|| format!("{:?} is outside of brackets", shown(text)))
}

// === impl Filter ===

impl Filter {
    fn parse(entry: &str) -> Result<Self, &'static str> {
        let mut parts = entry.split(',').map(|part| part.trim().to_owned());
        let kind = parts.next().unwrap_or_default();
        let (namespace, name) =
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if parts.next().is_some() {
            return Err("it has more parts than kind, namespace and name");
        }
        let kind = KindPattern::parse(&kind)
            .filter(|pattern| !pattern.kind.is_empty())
            .ok_or("its kind is not one, such as Pod, apps/v1/Deployment or Pod/exec")?;
        Ok(Self { kind, namespace, name })
    }

    /// What its writer may not have meant.
    fn note(&self, entry: &str) -> Option<String> {
        let missing = self.namespace.is_empty() || self.name.is_empty();
        missing.then(|| {
            let entry = shown(entry);
            format!(
                "[{entry}] matches only what has no namespace or name; write [kind,*,*] for all"
            )
        })
    }

    pub(super) fn matches(&self, request: &Request<'_>) -> bool {
        self.is_about(request) && self.is_at(request)
    }

    fn is_about(&self, request: &Request<'_>) -> bool {
        let KindPattern { group, version, kind, sub_resource } = &self.kind;
        let resource = &request.resource;
        let part = request.sub_resource.unwrap_or_default();
        wildcard::matches(group, resource.group)
            && wildcard::matches(version, resource.version)
            && wildcard::matches(sub_resource, part)
            && if part.is_empty() {
                wildcard::matches(kind, request.kind.kind)
            } else {
                is_kind_of(kind, resource.resource)
            }
    }

    fn is_at(&self, request: &Request<'_>) -> bool {
        let namespace = request.namespace.unwrap_or_default();
        // A namespace is filtered with what is in it.
        let itself = request.is_namespace() && wildcard::matches(&self.namespace, request.name);
        itself
            || wildcard::matches(&self.namespace, namespace)
                && wildcard::matches(&self.name, request.name)
    }
}

/// Whether a resource of that name may be of a kind that matches the pattern.
fn is_kind_of(pattern: &str, resource: &str) -> bool {
    let pattern = pattern.to_lowercase();
    let singulars = [
        resource.strip_suffix("ies").map(|stem| format!("{stem}y")),
        resource.strip_suffix("es").map(str::to_owned),
        resource.strip_suffix('s').map(str::to_owned),
        Some(resource.to_owned()),
    ];
    singulars.iter().flatten().any(|kind| wildcard::matches(&pattern, kind))
}
