//! `resource.Get`, `resource.List` and `image.GetMetadata`, answered by a context.
//!
//! A policy for the whole cluster says in which namespace; for a policy in a namespace it is that one,
//! and the functions have one argument less. What is found is a view of the context; nothing of it is
//! copied. `resource.Post` and `resource.ToGVR` are not there.

use std::collections::BTreeMap;

use super::super::arguments::{error, no_such_overload, text};
use super::super::{Library, LookUp};
use crate::cel::lookup::Sight;
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{Key, Text, Value};
use crate::lookups::{Context, ResourceType};

/// Declares them for policies of the whole cluster.
pub(in crate::cel::library) fn declare_for_cluster(library: &mut Library) {
    for name in ["resource.Get", "resource.get"] {
        library.look_up(name, vec![Type::String; 4], found(), |sight, host, arguments| {
            get(sight, host, [0, 1, 2, 3].map(|it| text(arguments, it)))
        });
    }
    for name in ["resource.List", "resource.list"] {
        library.look_up(name, vec![Type::String; 3], found(), |sight, host, arguments| {
            list(sight, host, [0, 1, 2].map(|it| text(arguments, it)), None)
        });
        let parameters = [Type::String, Type::String, Type::String, labels()];
        library.look_up(name, parameters, found(), |sight, host, arguments| {
            list(sight, host, [0, 1, 2].map(|it| text(arguments, it)), arguments.get(3))
        });
    }
    declare_images(library);
}

/// Declares them for policies of one namespace.
pub(in crate::cel::library) fn declare_for_namespace(library: &mut Library) {
    for name in ["resource.Get", "resource.get"] {
        library.look_up(name, vec![Type::String; 3], found(), |sight, host, arguments| {
            let [api_version, resource, name] = [0, 1, 2].map(|it| text(arguments, it));
            get(sight, host, [api_version, resource, namespace(sight), name])
        });
    }
    for name in ["resource.List", "resource.list"] {
        library.look_up(name, vec![Type::String; 2], found(), |sight, host, arguments| {
            let [api_version, resource] = [0, 1].map(|it| text(arguments, it));
            list(sight, host, [api_version, resource, namespace(sight)], None)
        });
        let parameters = [Type::String, Type::String, labels()];
        library.look_up(name, parameters, found(), |sight, host, arguments| {
            let [api_version, resource] = [0, 1].map(|it| text(arguments, it));
            list(sight, host, [api_version, resource, namespace(sight)], arguments.get(2))
        });
    }
    declare_images(library);
}

fn declare_images(library: &mut Library) {
    let look_up: LookUp = |sight, host, arguments| {
        let image = text(arguments, 0)?;
        host.meter.scan(image.len())?;
        let metadata = sight.context()?.image(image).map(Value::of_json);
        metadata.ok_or_else(|| {
            error(format!(
                "failed to get image data: image data for {image} not found in the context"
            ))
        })
    };
    for name in ["image.GetMetadata", "image.getMetadata"] {
        library.look_up(name, [Type::String], Type::Dyn, look_up);
    }
}

fn found() -> Type {
    Type::map(Type::String, Type::Dyn)
}

fn labels() -> Type {
    Type::map(Type::String, Type::String)
}

fn namespace(sight: &Sight) -> Result<&str, Fault> {
    match sight {
        Sight::Namespace(_, namespace) => Ok(namespace),
        Sight::Nothing | Sight::Cluster(_) => Err(no_such_overload()),
    }
}

/// The object; null if there is none, as Kyverno has it.
fn get<'a>(
    sight: &'a Sight,
    host: &Host<'_>,
    arguments: [Result<&str, Fault>; 4],
) -> Result<Value<'a>, Fault> {
    let [api_version, resource, namespace, name] = arguments;
    let (namespace, name) = (namespace?, name?);
    let of = resource_type(host, "get", api_version?, resource?)?;
    host.meter.scan(namespace.len() + name.len())?;
    let objects = sight.context()?.objects(&of);
    let object = objects.and_then(|objects| objects.get(namespace, name));
    Ok(object.map_or(Value::Null, Value::of_json))
}

/// The objects, in `items`. That the context has none of that type in any namespace is an error, as
/// in Kyverno: nobody has said that a cluster would serve them.
fn list<'a>(
    sight: &'a Sight,
    host: &Host<'_>,
    arguments: [Result<&str, Fault>; 3],
    labels: Option<&Value<'_>>,
) -> Result<Value<'a>, Fault> {
    let [api_version, resource, namespace] = arguments;
    let namespace = namespace?;
    let of = resource_type(host, "list", api_version?, resource?)?;
    host.meter.scan(namespace.len())?;
    let context: &'a Context = sight.context()?;
    let objects = context.objects(&of).ok_or_else(|| {
        let ResourceType { api_version, resource } = &of;
        error(format!("failed to list resource: {api_version} {resource} not found in the context"))
    })?;
    let selector = labels.map(|it| selector(host, it)).transpose()?.unwrap_or_default();
    let length = selector.iter().map(|(name, value)| name.len() + value.len()).sum();
    let mut items = Vec::new();
    for object in objects.list(namespace) {
        host.meter.step(1 + selector.len() as u64)?;
        host.meter.scan(length)?;
        let labels = object.pointer("/metadata/labels");
        let label = |name: &str| labels?.get(name)?.as_str();
        if selector.iter().all(|(name, value)| label(name) == Some(&**value)) {
            host.meter.allocate(size_of::<Value<'_>>())?;
            items.push(Value::of_json(object));
        }
    }
    host.meter.allocate(size_of::<(Key<'_>, Value<'_>)>())?;
    let items = (Key::String(Text::Borrowed("items")), Value::list(items));
    Ok(Value::map(BTreeMap::from([items])))
}

fn resource_type(
    host: &Host<'_>,
    to: &str,
    api_version: &str,
    resource: &str,
) -> Result<ResourceType, Fault> {
    let length = api_version.len() + resource.len();
    host.meter.scan(length)?;
    host.meter.allocate(length)?;
    if api_version.matches('/').count() > 1 {
        let message = format!("failed to {to} resource: {api_version} is no apiVersion");
        return Err(error(message));
    }
    Ok(ResourceType { api_version: api_version.to_owned(), resource: resource.to_owned() })
}

/// Labels, and the values that they must have.
fn selector<'v>(host: &Host<'_>, labels: &Value<'v>) -> Result<Vec<(Text<'v>, Text<'v>)>, Fault> {
    let Value::Map(labels) = labels else { return Err(no_such_overload()) };
    host.meter.step(labels.len() as u64)?;
    host.meter.allocate(labels.len() * size_of::<(Key<'_>, Value<'_>)>())?;
    let pair = |entry| match entry {
        (Key::String(name), Value::String(value)) => Ok((name, value)),
        _ => Err(no_such_overload()),
    };
    labels.entries().map(pair).collect()
}

#[cfg(test)]
mod tests;
