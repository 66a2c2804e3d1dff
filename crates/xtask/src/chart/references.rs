//! Whether every field of the schema that refers to a Secret or ConfigMap is one that is resolved.
//!
//! The compiler shows whoever adds a field to the types the place where references are collected; it
//! cannot tell whether the field is a reference. Its name and its shape can.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use pharos_operator::resolve::Place;

use crate::workspace::Findings;

/// What of a field is said by the schema: whether the kind is given beside the name.
#[derive(Debug, PartialEq)]
struct Shape {
    has_name: bool,
    has_kind: bool,
}

/// Finds references of the schema that no place stands for, and places without a reference.
pub(super) fn check(crd: &CustomResourceDefinition, places: &[Place]) -> Findings {
    let mut references = BTreeMap::new();
    for version in &crd.spec.versions {
        let schema = version.schema.as_ref().and_then(|it| it.open_api_v3_schema.as_ref());
        let properties = schema.and_then(|schema| schema.properties.as_ref());
        if let Some(spec) = properties.and_then(|properties| properties.get("spec")) {
            collect("spec", spec, &mut references);
        }
    }
    let mut findings = Findings::new();
    for (path, shape) in &references {
        let place = places.iter().find(|place| place.path() == path);
        match place {
            None => findings.push(format!(
                "{path} looks like a reference to a Secret or ConfigMap and is not in Place::ALL of \
                 crates/operator/src/resolve/reference.rs: nobody would be asked for a right to it"
            )),
            Some(place) => {
                let has_kind = place.kind_field() == Some("kind");
                if *shape != (Shape { has_name: true, has_kind }) {
                    findings.push(format!("{path} has another shape than {place:?}: {shape:?}"));
                }
            }
        }
    }
    let missing = places.iter().filter(|place| !references.contains_key(place.path()));
    findings.extend(missing.map(|place| {
        format!("{place:?} stands for {}, and the schema has no such reference", place.path())
    }));
    findings
}

fn collect(path: &str, schema: &JSONSchemaProps, references: &mut BTreeMap<String, Shape>) {
    for (name, field) in schema.properties.iter().flatten() {
        below(&format!("{path}.{name}"), name, field, references);
    }
}

fn below(path: &str, name: &str, field: &JSONSchemaProps, found: &mut BTreeMap<String, Shape>) {
    match &field.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => {
            below(&format!("{path}[]"), name, items, found);
        }
        _ if refers(name) => {
            let has =
                |property| field.properties.as_ref().is_some_and(|it| it.contains_key(property));
            found.insert(path.to_owned(), Shape { has_name: has("name"), has_kind: has("kind") });
        }
        _ => collect(path, field, found),
    }
}

/// Whether a field of this name refers to something, as the API conventions name such fields.
fn refers(name: &str) -> bool {
    let lower = name.to_lowercase();
    name.ends_with("Ref")
        || name.ends_with("Refs")
        || lower.contains("secret")
        || lower.contains("configmap")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telemetryconfig() -> CustomResourceDefinition {
        let mut crds = pharos_api::crds().into_iter();
        crds.find(|crd| crd.spec.names.kind == "TelemetryConfig").unwrap()
    }

    /// Adds a field beside `spec.metrics.views[].selector`.
    fn with_field(name: &str, schema: serde_json::Value) -> CustomResourceDefinition {
        let mut crd = serde_json::to_value(telemetryconfig()).unwrap();
        let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/metrics\
                    /properties/views/items/properties";
        crd.pointer_mut(path).unwrap()[name] = schema;
        serde_json::from_value(crd).unwrap()
    }

    #[test]
    fn what_is_resolved_is_what_the_schema_refers_to() {
        assert_eq!(check(&telemetryconfig(), &Place::ALL), Findings::new());
    }

    #[test]
    fn a_reference_that_is_added_to_the_schema_alone_is_found() {
        let reference = serde_json::json!({
            "type": "object", "properties": {"name": {"type": "string"}, "key": {"type": "string"}},
        });
        let list = serde_json::json!({"type": "array", "items": reference});
        let text = serde_json::json!({"type": "string"});
        for (name, schema, path) in [
            ("tokenRef", reference.clone(), "tokenRef"),
            ("tokenRefs", list, "tokenRefs[]"),
            ("secretKeyRef", reference, "secretKeyRef"),
            ("secretName", text, "secretName"),
        ] {
            let findings = check(&with_field(name, schema), &Place::ALL);
            let path = format!("spec.metrics.views[].{path} looks like a reference");
            assert!(findings.len() == 1 && findings[0].starts_with(&path), "{findings:?}");
        }
    }

    #[test]
    fn a_place_that_the_schema_lost_or_changed_is_found() {
        let mut crd = serde_json::to_value(telemetryconfig()).unwrap();
        let tls = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/exporters\
                   /items/properties/prometheus/properties/tls/properties";
        let fields = crd.pointer_mut(tls).unwrap().as_object_mut().unwrap();
        fields.remove("certificateRef").unwrap();
        fields["clientCARef"]["properties"].as_object_mut().unwrap().remove("kind").unwrap();
        let findings = check(&serde_json::from_value(crd).unwrap(), &Place::ALL);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].contains("clientCARef has another shape than ScraperCa"));
        assert!(findings[1].starts_with("ScrapeCertificate stands for"));
    }
}
