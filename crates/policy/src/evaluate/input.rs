//! What expressions see of a request.

use std::sync::LazyLock;

use jiff::Timestamp;

use crate::cel::{Input, Inputs, NamespaceObject};
use crate::json::Json;
use crate::request::Request;

static ABSENT: LazyLock<Json<'static>> = LazyLock::new(Json::empty);
static NO_EXCEPTIONS: LazyLock<Json<'static>> = LazyLock::new(|| allowances(&[], &[]));

/// What stands for a state of an object where there is none: `object` of a deletion, `oldObject` of a
/// creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// An object without fields, so that policies can ask for them with `has`: what ValidatingPolicies
    /// see with Kyverno.
    Empty,
    /// Null: what ClusterPolicies see, and policies of the API server's own.
    Null,
}

/// What expressions see, without any exception.
pub(super) fn inputs<'r>(
    request: &Request<'r>,
    absent: Absent,
    now: &'r dyn Fn() -> Timestamp,
) -> Inputs<'r> {
    inputs_with(request, absent, &NO_EXCEPTIONS, now)
}

/// What expressions see beside exceptions with these allowances.
pub(super) fn inputs_with<'r>(
    request: &Request<'r>,
    absent: Absent,
    exceptions: &'r Json<'r>,
    now: &'r dyn Fn() -> Timestamp,
) -> Inputs<'r> {
    let namespace = match (request.namespace, request.namespace_object) {
        // Its own namespace is what the request is about.
        _ if request.is_namespace() => NamespaceObject::None,
        (_, Some(namespace)) => NamespaceObject::Known(namespace),
        (Some(_), None) => NamespaceObject::Unknown,
        (None, None) => NamespaceObject::None,
    };
    let (object, old_object) = (absent.or(request.object), absent.or(request.old_object));
    Inputs::new(object, old_object, request.raw, namespace)
        .with(Input::Exceptions, exceptions)
        .at(now)
}

/// The value of `exceptions`.
pub(super) fn allowances<'a>(images: &[&'a str], values: &[&'a str]) -> Json<'a> {
    let list = |texts: &[&'a str]| texts.iter().map(|text| Json::from(*text)).collect();
    let fields = [("allowedImages", list(images)), ("allowedValues", list(values))];
    fields.into_iter().map(|(name, texts)| (name.into(), Json::Array(texts))).collect()
}

// === impl Absent ===

impl Absent {
    /// The state, if there is one.
    fn or<'r>(self, object: &'r Json<'r>) -> &'r Json<'r> {
        match self {
            Self::Empty if object.is_null() => &ABSENT,
            Self::Empty | Self::Null => object,
        }
    }
}
