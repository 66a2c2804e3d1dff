//! Kyverno's context file: what policies find when they look something up.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use pharos_policy::{Context, Lookups};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kinds::Kinds;
use super::object::group;

const API_VERSION: &str = "cli.kyverno.io/v1alpha1";
const KIND: &str = "Context";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ContextFile {
    api_version: String,
    kind: String,
    #[serde(default, rename = "metadata")]
    _metadata: IgnoredAny,
    #[serde(default)]
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Spec {
    resources: Vec<Value>,
    images: Vec<Image>,
}

/// What a registry says about an image. Policies see the fields by these names.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Image {
    image: String,
    #[serde(default)]
    resolved_image: String,
    #[serde(default)]
    registry: String,
    #[serde(default)]
    repository: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    tag: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image_index: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    manifest: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<Value>,
}

/// What policies may look up: what the context file has, and these objects. Of two objects with one
/// name that of the file counts.
pub(crate) fn lookups(
    file: Option<Value>,
    objects: Vec<Value>,
    kinds: &Kinds,
) -> anyhow::Result<Lookups> {
    let Spec { resources, images } = file.map_or(Ok(Spec::default()), Spec::parse)?;
    let mut context = Context::default();
    let places = (0..).map(|index| format!("spec.resources[{index}] of the context"));
    let described = objects.into_iter().map(|it| (it, "the cluster's resources".to_owned()));
    for (object, place) in described.chain(resources.into_iter().zip(places)) {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let resource = kinds.served(group(text("apiVersion")), text("kind")).resource;
        context.add_resource(&resource, object).with_context(|| place)?;
    }
    for (index, image) in images.into_iter().enumerate() {
        let added = context.add_image(serde_json::to_value(image)?);
        added.with_context(|| format!("spec.images[{index}] of the context"))?;
    }
    Ok(Lookups::Given(Arc::new(context)))
}

// === impl Spec ===

impl Spec {
    fn parse(document: Value) -> anyhow::Result<Self> {
        let file: ContextFile = serde_json::from_value(document).context("no context file")?;
        if (file.api_version.as_str(), file.kind.as_str()) != (API_VERSION, KIND) {
            bail!("{} {} is not {API_VERSION} {KIND}", file.api_version, file.kind);
        }
        Ok(file.spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> anyhow::Result<Lookups> {
        lookups(Some(serde_saphyr::from_str(yaml)?), Vec::new(), &Kinds::default())
    }

    #[test]
    fn a_context_has_resources_and_images() {
        let context = read(
            "{apiVersion: cli.kyverno.io/v1alpha1, kind: Context, metadata: {name: c}, spec: {\
             resources: [{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a}}], \
             images: [{image: 'a:1', tag: '1', config: {Env: [a]}}]}}",
        );
        let Ok(Lookups::Given(context)) = context else { panic!("{context:?}") };
        let text = format!("{context:?}");
        for part in ["ingresses", "networking.k8s.io/v1", "a:1", "resolvedImage"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("manifest"), "{text}");
    }

    #[test]
    fn what_would_be_passed_over_is_refused() {
        let head = "apiVersion: cli.kyverno.io/v1alpha1, kind: Context";
        for text in [
            "text".to_owned(),
            "{apiVersion: cli.kyverno.io/v1alpha1, kind: Values}".to_owned(),
            format!("{{{head}, resources: []}}"),
            format!("{{{head}, spec: {{resource: []}}}}"),
            format!("{{{head}, spec: {{resources: [{{kind: Pod, metadata: {{name: a}}}}]}}}}"),
            format!("{{{head}, spec: {{resources: [{{apiVersion: v1, kind: Pod}}]}}}}"),
            format!("{{{head}, spec: {{images: [{{config: {{}}}}]}}}}"),
            format!("{{{head}, spec: {{images: [{{image: a, Config: {{}}}}]}}}}"),
        ] {
            assert!(read(&text).is_err(), "{text}");
        }
    }
}
