//! What policies find when they look something up, where that is not refused.
//!
//! Enter at [`Lookups`], which goes into the compilation of a policy. A [`Context`] is a world that was
//! written down: it answers `resource.Get`, `resource.List` and `image.GetMetadata` as a cluster and a
//! registry would, and nothing is asked of either. Its answers are those of Kyverno's command line.
//!
//! Nothing here knows CEL; the functions are in `cel/library/kyverno/lookup.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Number, Value};

use crate::json::Json;

/// Objects of the same place by their names.
type Named = BTreeMap<String, Json<'static>>;

/// What policies may look up beside what comes with the request.
#[derive(Clone, Debug)]
pub enum Lookups {
    /// Nothing: a policy that looks something up is refused by name. So it is in admission.
    Refused,
    /// What a context has, and nothing else.
    Given(Arc<Context>),
}

/// Resources and images that were written down.
#[derive(Debug, Default)]
pub struct Context {
    resources: BTreeMap<ResourceType, Objects>,
    /// What is known about images, by the reference that they were written with.
    images: Named,
}

/// As in `apps/v1` and `deployments`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ResourceType {
    pub(crate) api_version: String,
    pub(crate) resource: String,
}

/// Objects by their namespaces; those without one are in the namespace that has no name.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    namespaces: BTreeMap<String, Named>,
}

/// Why something is not in a context.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// An object or an image does not say which one it is.
    #[error("{what} must have a text in {pointer}")]
    Nameless {
        /// What was to be added.
        what: &'static str,
        /// The field.
        pointer: &'static str,
    },
    /// Values are compared by recursion.
    #[error("{name} is nested more than {MAX_DEPTH} levels deep")]
    TooDeep {
        /// The object or the image.
        name: String,
    },
}

/// As deep as the JSON of a request may be.
const MAX_DEPTH: usize = 128;

// === impl Context ===

impl Context {
    /// Adds an object, which is served as that resource (in the plural). Of two with one name the
    /// later counts.
    pub fn add_resource(&mut self, resource: &str, object: Value) -> Result<(), ContextError> {
        let text = |pointer| text(&object, "a resource", pointer).map(str::to_owned);
        let (api_version, name) = (text("/apiVersion")?, text("/metadata/name")?);
        let namespace = text("/metadata/namespace").unwrap_or_default();
        within_depth(&object, &name)?;
        let of = ResourceType { api_version, resource: resource.to_owned() };
        let objects = self.resources.entry(of).or_default();
        objects.namespaces.entry(namespace).or_default().insert(name, object.into());
        Ok(())
    }

    /// Adds what a registry would say about an image, whose reference is in the field `image`. Its
    /// numbers are doubles, as Kyverno has them.
    pub fn add_image(&mut self, mut metadata: Value) -> Result<(), ContextError> {
        let image = text(&metadata, "an image", "/image")?.to_owned();
        within_depth(&metadata, &image)?;
        doubles(&mut metadata);
        self.images.insert(image, metadata.into());
        Ok(())
    }

    /// The objects of a type; none if the context has not one of them.
    pub(crate) fn objects(&self, of: &ResourceType) -> Option<&Objects> {
        self.resources.get(of)
    }

    /// What is known about an image, which must be written as the context writes it.
    pub(crate) fn image(&self, image: &str) -> Option<&Json<'static>> {
        self.images.get(image)
    }
}

// === impl Objects ===

impl Objects {
    /// One object. The namespace is empty for what is in none.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&Json<'static>> {
        self.namespaces.get(namespace)?.get(name)
    }

    /// Those in a namespace, or all if it is empty; by namespace and name.
    pub(crate) fn list(&self, namespace: &str) -> impl Iterator<Item = &Json<'static>> {
        let within = self.namespaces.iter().filter(move |(of, _)| {
            let of = of.as_str();
            namespace.is_empty() || of == namespace
        });
        within.flat_map(|(_, named)| named.values())
    }
}

fn text<'a>(
    of: &'a Value,
    what: &'static str,
    pointer: &'static str,
) -> Result<&'a str, ContextError> {
    let found = of.pointer(pointer).and_then(Value::as_str).filter(|it| !it.is_empty());
    found.ok_or(ContextError::Nameless { what, pointer })
}

fn within_depth(json: &Value, name: &str) -> Result<(), ContextError> {
    match is_within(json, MAX_DEPTH) {
        true => Ok(()),
        false => Err(ContextError::TooDeep { name: name.to_owned() }),
    }
}

/// Goes no deeper than it allows.
fn is_within(json: &Value, levels: usize) -> bool {
    match (json, levels) {
        (Value::Array(_) | Value::Object(_), 0) => false,
        (Value::Array(elements), _) => elements.iter().all(|it| is_within(it, levels - 1)),
        (Value::Object(fields), _) => fields.values().all(|it| is_within(it, levels - 1)),
        _ => true,
    }
}

fn doubles(json: &mut Value) {
    match json {
        Value::Number(number) => {
            let double = number.as_f64().and_then(Number::from_f64);
            *number = double.unwrap_or_else(|| number.clone());
        }
        Value::Array(elements) => elements.iter_mut().for_each(doubles),
        Value::Object(fields) => fields.values_mut().for_each(doubles),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

// === impl ContextError ===

impl ContextError {
    /// The kind of the error, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Nameless { .. } => "Nameless",
            Self::TooDeep { .. } => "TooDeep",
        }
    }
}
