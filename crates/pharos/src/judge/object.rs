//! Objects as a cluster would hold them.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::bail;
use serde_json::{Map, Value, json};

use super::kinds::{Kinds, Scope, Served};
use crate::documents::Document;

/// An object, and how it is served.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// What tells it from the others.
    pub(crate) id: ObjectId,
    /// All of it.
    pub(crate) value: Value,
    /// Its resource.
    pub(super) served: Served,
}

/// What tells an object from others. The namespace is empty where there is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectId {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// Objects in the order in which they were read, none twice.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    /// The objects.
    pub(crate) objects: Vec<Object>,
    /// Those that came again, in any version, and were left out.
    pub(crate) repeated: Vec<ObjectId>,
    seen: BTreeSet<(String, String, String, String)>,
}

/// Fields that Kubernetes reads as empty where nothing stands behind them.
const MAPS: [&str; 6] =
    ["annotations", "labels", "matchLabels", "nodeSelector", "data", "stringData"];

// === impl Object ===

impl Object {
    /// What the document is; an error where it is no object of Kubernetes.
    pub(crate) fn of(document: Document, kinds: &Kinds) -> anyhow::Result<Self> {
        let Document { file, mut value } = document;
        let text = |pointer: &str| {
            let found = value.pointer(pointer).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let (api_version, kind) = (text("/apiVersion"), text("/kind"));
        if api_version.is_empty() || kind.is_empty() {
            bail!("{file}: a document without apiVersion or kind is no resource");
        }
        if !value["metadata"].is_object() {
            bail!("{file}: {kind} has no metadata");
        }
        let (name, mut namespace) = (text("/metadata/name"), text("/metadata/namespace"));
        let served = kinds.served(group(&api_version), &kind);
        if served.scope == Scope::Namespaced && namespace.is_empty() {
            namespace = "default".to_owned();
            value["metadata"]["namespace"] = json!(namespace);
        }
        empty_maps(&mut value);
        Ok(Self { id: ObjectId { api_version, kind, namespace, name }, value, served })
    }
}

/// The group of an `apiVersion`.
pub(super) fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// The version of an `apiVersion`.
pub(super) fn version(api_version: &str) -> &str {
    api_version.split_once('/').map_or(api_version, |(_, version)| version)
}

fn empty_maps(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if value.is_null() && MAPS.contains(&name.as_str()) {
                    *value = Value::Object(Map::new());
                } else {
                    empty_maps(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(empty_maps),
        _ => {}
    }
}

// === impl ObjectId ===

/// As in `apps/v1/Deployment/default/web`, and `v1/Namespace//a`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { api_version, kind, namespace, name } = self;
        write!(f, "{api_version}/{kind}/{namespace}/{name}")
    }
}

// === impl Objects ===

impl Objects {
    /// Adds what the documents are.
    pub(crate) fn add(&mut self, documents: Vec<Document>, kinds: &Kinds) -> anyhow::Result<()> {
        for document in documents {
            let object = Object::of(document, kinds)?;
            let ObjectId { api_version, kind, namespace, name } = object.id.clone();
            let key = (group(&api_version).to_owned(), kind, namespace, name);
            // Objects whose names are yet to be generated are as many as were written.
            if key.3.is_empty() || self.seen.insert(key) {
                self.objects.push(object);
            } else {
                self.repeated.push(object.id);
            }
        }
        Ok(())
    }

    /// The Namespaces among them.
    pub(crate) fn namespaces(&self) -> Vec<Value> {
        let is_namespace = |it: &&Object| it.id.api_version == "v1" && it.id.kind == "Namespace";
        self.objects.iter().filter(is_namespace).map(|it| it.value.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(yaml: &str) -> anyhow::Result<Objects> {
        let mut documents = crate::documents::Documents::default();
        documents.take("f", yaml.as_bytes());
        let mut objects = Objects::default();
        objects.add(documents.documents, &Kinds::default())?;
        Ok(objects)
    }

    fn ids(objects: &Objects) -> Vec<String> {
        objects.objects.iter().map(|it| it.id.to_string()).collect()
    }

    #[test]
    fn objects_live_in_the_default_namespace_unless_they_live_in_none() {
        let read = objects(
            "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n\
             {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: ns}}\n---\n\
             {apiVersion: v1, kind: Namespace, metadata: {name: ns}}\n",
        )
        .unwrap();
        assert_eq!(ids(&read), ["v1/Pod/default/a", "v1/Pod/ns/a", "v1/Namespace//ns"]);
        assert_eq!(read.objects[0].value["metadata"]["namespace"], "default");
        assert_eq!(read.namespaces().len(), 1);
    }

    #[test]
    fn the_first_of_two_counts_in_whatever_version_the_other_is() {
        let read = objects(
            "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}}\n---\n\
             {apiVersion: batch/v1beta1, kind: CronJob, metadata: {name: a}}\n---\n\
             {apiVersion: v1, kind: Pod, metadata: {generateName: a}}\n---\n\
             {apiVersion: v1, kind: Pod, metadata: {generateName: a}}\n",
        )
        .unwrap();
        let expected = ["batch/v1/CronJob/default/a", "v1/Pod/default/", "v1/Pod/default/"];
        assert_eq!(ids(&read), expected);
        assert_eq!(read.repeated.len(), 1);
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for text in ["{a: 1}", "{kind: Pod}", "text", "[1]", "{apiVersion: v1, kind: Pod}"] {
            assert!(objects(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_map_with_nothing_in_it_is_empty() {
        let read = objects(
            "{apiVersion: v1, kind: Pod, metadata: {name: a, labels: , annotations: }, spec: {x: }}",
        )
        .unwrap();
        let value = &read.objects[0].value;
        assert_eq!(value["metadata"]["labels"], json!({}));
        assert_eq!(value["spec"]["x"], Value::Null);
    }
}
