//! An object against the schema of its CustomResourceDefinition, as an API server with strict field
//! validation would judge it: every violation at once, each with its field path.
//!
//! Expressions are not evaluated here: nearly all of them are also problems to `resolve`, which the
//! controller runs; the rest is in [`EXPRESSIONS`]. No message shows a value.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::Resource as _;
use pharos_api::telemetryconfig::TelemetryConfig;
use regex::Regex;
use serde_json::{Map, Value};

/// A field that the API server would not take.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Violation {
    /// The path of the field, such as `spec.exporters[gateway].otlp.endpoint`.
    pub(super) field: String,
    /// What is wrong with it.
    pub(super) message: String,
}

/// The fields that every object has.
const TOP_LEVEL: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
/// The fields of `metadata`.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
/// A DNS subdomain, of which an API server makes names.
const NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// An expression of the schema, as code.
struct Expression {
    /// The message of its rule.
    message: &'static str,
    /// Whether a value satisfies it.
    holds: fn(&Value) -> bool,
}

/// The expressions that `resolve` has no problem with where they do not hold: to the controller the
/// rest of the object says enough.
const EXPRESSIONS: [Expression; 2] = [
    Expression {
        message: "at least one of metrics, traces or logs must be set",
        holds: |spec| ["metrics", "traces", "logs"].iter().any(|signal| has(spec, signal)),
    },
    Expression {
        message: "exporters must be set if and only if mode is Enabled",
        holds: |signal| {
            let mode = signal["mode"].as_str().unwrap_or("Enabled");
            (mode == "Enabled") == has(signal, "exporters")
        },
    },
];

/// Walks a value along a schema.
struct Walk {
    violations: Vec<Violation>,
}

/// Every violation of a TelemetryConfig.
pub(super) fn violations(object: &Value) -> Vec<Violation> {
    let mut walk = Walk { violations: Vec::new() };
    walk.frame(object);
    if let (Some(spec), Some(schema)) = (present(object, "spec"), schema_of_spec()) {
        walk.value(&schema, spec, "spec");
    }
    walk.violations
}

/// The schema of `spec`, as the API server has it.
fn schema_of_spec() -> Option<JSONSchemaProps> {
    let kind = TelemetryConfig::kind(&());
    let crd = pharos_api::crds().into_iter().find(|crd| crd.spec.names.kind == kind)?;
    let version = crd.spec.versions.into_iter().next()?;
    version.schema?.open_api_v3_schema?.properties?.remove("spec")
}

fn present<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    // An API server takes what is null for what is absent.
    object.get(field).filter(|value| !value.is_null())
}

fn has(object: &Value, field: &str) -> bool {
    present(object, field).is_some()
}

// === impl Walk ===

impl Walk {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.violations.push(Violation { field: field.into(), message: message.into() });
    }

    /// What all objects have in common.
    fn frame(&mut self, object: &Value) {
        let version = TelemetryConfig::api_version(&());
        if object["apiVersion"].as_str() != Some(&*version) {
            self.add("apiVersion", format!("there is no such version; write {version}"));
        }
        self.unknown(object, &TOP_LEVEL, "");
        self.unknown(&object["metadata"], &METADATA, "metadata");
        match present(&object["metadata"], "name").map(Value::as_str) {
            None if has(&object["metadata"], "generateName") => {}
            None => self.add("metadata.name", "is required"),
            Some(Some(name)) if name.len() <= 253 && matches(NAME, name) => {}
            Some(_) => self.add(
                "metadata.name",
                "must be lower-case letters, digits, '-' and '.', and at most 253 of them",
            ),
        }
        if !has(object, "spec") {
            self.add("spec", "is required");
        }
    }

    fn unknown(&mut self, object: &Value, known: &[&str], path: &str) {
        for field in object.as_object().into_iter().flat_map(Map::keys) {
            if !known.contains(&field.as_str()) {
                self.add(joined(path, field), "unknown field");
            }
        }
    }

    fn value(&mut self, schema: &JSONSchemaProps, value: &Value, path: &str) {
        let r#type = schema.type_.as_deref().unwrap_or_default();
        match (r#type, value) {
            ("object", Value::Object(fields)) => self.object(schema, fields, path),
            ("array", Value::Array(items)) => self.array(schema, items, path),
            ("string", Value::String(text)) => self.text(schema, text, path),
            ("integer" | "number", Value::Number(number)) => {
                if r#type == "integer" && number.as_f64().is_none_or(|it| it.fract() != 0.0) {
                    return self.add(path, "must be an integer");
                }
                self.number(schema, number.as_f64().unwrap_or_default(), path);
            }
            ("boolean", Value::Bool(_)) | ("", _) => {}
            (wanted, _) => {
                let (article, quoted) = match wanted {
                    "string" => ("a", "; put it in quotes"),
                    "object" | "array" | "integer" => ("an", ""),
                    _ => ("a", ""),
                };
                let scalar = value.is_number() || value.is_boolean();
                let quoted = if scalar { quoted } else { "" };
                return self.add(path, format!("must be {article} {wanted}{quoted}"));
            }
        }
        self.expressions(schema, value, path);
    }

    fn object(&mut self, schema: &JSONSchemaProps, fields: &Map<String, Value>, path: &str) {
        let properties = schema.properties.as_ref();
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            match properties.and_then(|properties| properties.get(name)) {
                Some(schema) => self.value(schema, value, &joined(path, name)),
                None => self.add(joined(path, name), "unknown field"),
            }
        }
        for name in schema.required.iter().flatten() {
            if fields.get(name).is_none_or(Value::is_null) {
                self.add(joined(path, name), "is required");
            }
        }
        let count = fields.values().filter(|value| !value.is_null()).count();
        if schema.min_properties.is_some_and(|least| (count as i64) < least) {
            self.add(path, "at least one of its fields must be set");
        }
    }

    fn array(&mut self, schema: &JSONSchemaProps, items: &[Value], path: &str) {
        if schema.max_items.is_some_and(|most| items.len() as i64 > most) {
            let most = schema.max_items.unwrap_or_default();
            self.add(path, format!("must have at most {most} items"));
        }
        if schema.min_items.is_some_and(|least| (items.len() as i64) < least) {
            let least = schema.min_items.unwrap_or_default();
            self.add(path, format!("must have at least {least} items"));
        }
        let keys = schema.x_kubernetes_list_map_keys.as_deref().unwrap_or_default();
        let key = |item: &Value| keys.first().and_then(|key| item[key].as_str().map(str::to_owned));
        let is_set = matches!(schema.x_kubernetes_list_type.as_deref(), Some("set"));
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let here = format!("{path}[{}]", key(item).unwrap_or_else(|| index.to_string()));
            let identity = key(item).or_else(|| is_set.then(|| item.to_string()));
            if identity.is_some_and(|identity| !seen.insert(identity)) {
                self.add(&here, "is there twice");
            }
            if let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items {
                self.value(schema, item, &here);
            }
        }
    }

    fn text(&mut self, schema: &JSONSchemaProps, text: &str, path: &str) {
        let length = text.chars().count() as i64;
        if let Some(most) = schema.max_length.filter(|most| length > *most) {
            self.add(path, format!("must have at most {most} characters"));
        }
        if let Some(least) = schema.min_length.filter(|least| length < *least) {
            self.add(path, format!("must have at least {least} characters"));
        }
        if let Some(pattern) = schema.pattern.as_deref().filter(|it| !matches(it, text)) {
            self.add(path, format!("must match {pattern}"));
        }
        let allowed: Vec<_> =
            schema.enum_.iter().flatten().filter_map(|value| value.0.as_str()).collect();
        if !allowed.is_empty() && !allowed.contains(&text) {
            self.add(path, format!("must be one of {}", allowed.join(", ")));
        }
    }

    fn number(&mut self, schema: &JSONSchemaProps, number: f64, path: &str) {
        if let Some(least) = schema.minimum.filter(|least| number < *least) {
            self.add(path, format!("must be at least {least}"));
        }
        if let Some(most) = schema.maximum.filter(|most| number > *most) {
            self.add(path, format!("must be at most {most}"));
        }
    }

    fn expressions(&mut self, schema: &JSONSchemaProps, value: &Value, path: &str) {
        for rule in schema.x_kubernetes_validations.iter().flatten() {
            let message = rule.message.as_deref().unwrap_or_default();
            let known = EXPRESSIONS.iter().find(|expression| expression.message == message);
            if known.is_some_and(|expression| !(expression.holds)(value)) {
                let field = rule.field_path.as_deref().unwrap_or_default();
                self.add(format!("{path}{field}"), message);
            }
        }
    }
}

fn joined(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

fn matches(pattern: &str, text: &str) -> bool {
    // All patterns are ours, and a test compiles each.
    Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
}

#[cfg(test)]
mod tests;
