//! The CustomResourceDefinitions, as the API server gets them.
//!
//! Everything in a definition comes from the types; this module only joins versions and adapts what
//! the derive macro emits to what Kubernetes' own definitions look like.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps,
    JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use serde_json::Value;

use crate::{policy::ValidatingPolicy, telemetryconfig::TelemetryConfig};

/// Versions of a policy that clients may use beside the stored one; all have one schema.
const POLICY_ALIASES: [&str; 2] = ["v1beta1", "v1alpha1"];

/// Every CustomResourceDefinition that Pharos needs, in a stable order.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [TelemetryConfig::crd(), serve_also(ValidatingPolicy::crd(), &POLICY_ALIASES)]
        .map(adapted)
        .into()
}

/// `crd` as YAML that `kubectl apply -f` takes.
pub fn yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::SerializeError> {
    let mut value = serde_json::to_value(crd).expect("a definition has only string keys");
    integral_bounds(&mut value);
    serde_saphyr::to_string(&value)
}

/// Serves the stored version under other names too. Without a conversion the API server only
/// changes `apiVersion`, which is right as long as all versions share one schema.
fn serve_also(mut crd: CustomResourceDefinition, names: &[&str]) -> CustomResourceDefinition {
    let stored = crd.spec.versions[0].clone();
    crd.spec.versions.extend(names.iter().map(|name| CustomResourceDefinitionVersion {
        name: (*name).to_owned(),
        storage: false,
        ..stored.clone()
    }));
    crd
}

/// Adapts every schema to what an API server and `kubectl explain` make of it.
fn adapted(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    crd.spec
        .versions
        .iter_mut()
        .filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut())
        .for_each(adapt);
    crd
}

/// - Optional fields come out of the derive macro as `nullable`. Then an explicit `null` would be
///   stored, and `has(self.field)` in a rule would be true for it; without, the API server drops it.
/// - Descriptions have the line breaks of the source, which `kubectl explain` would print.
/// - The title is the name of the Rust type.
fn adapt(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    if let Some(description) = &mut schema.description {
        *description = description.replace('\n', " ");
    }
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(adapt);
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => adapt(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(adapt),
        None => {}
    }
}

/// `minimum` and `maximum` are floats in the schema type; as YAML, `1` reads better than `1.0`.
fn integral_bounds(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_f64() {
                    Some(bound) if key == "minimum" || key == "maximum" => {
                        *value = Value::from(bound as i64);
                    }
                    _ => integral_bounds(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(integral_bounds),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
