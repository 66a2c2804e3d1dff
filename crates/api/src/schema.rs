//! Pieces of schema that several types share: patterns, defaults, and bounded schemas for types of
//! Kubernetes' own, whose generated ones have no bounds.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A DNS label: names of exporters and views.
pub(crate) const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// A DNS subdomain: names of Secrets and ConfigMaps.
pub(crate) const DNS_SUBDOMAIN: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A key of a Secret or ConfigMap.
pub(crate) const DATA_KEY: &str = "^[-._a-zA-Z0-9]+$";
/// A machine-readable reason.
pub(crate) const REASON: &str = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";

/// An integer default, written beside its field.
pub(crate) fn int<const N: i32>() -> i32 {
    N
}

/// A boolean default.
pub(crate) fn yes() -> bool {
    true
}

/// `metav1.Time`.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// `[]metav1.Condition`, a map by `type`.
pub(crate) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {
                    "description": "What is judged, as in Ready.",
                    "type": "string", "minLength": 1, "maxLength": 316,
                },
                "status": {
                    "description": "True, False, or Unknown while it is not decided.",
                    "type": "string", "enum": ["True", "False", "Unknown"],
                },
                "observedGeneration": {
                    "description": "The metadata.generation that was judged.",
                    "type": "integer", "format": "int64", "minimum": 0,
                },
                "lastTransitionTime": described(time(generator), "When status last changed."),
                "reason": {
                    "description": "Why, in one word for programs.",
                    "type": "string", "minLength": 1, "maxLength": 1024, "pattern": REASON,
                },
                "message": {
                    "description": "Why, in a sentence for people: the field, the object and what to do.",
                    "type": "string", "maxLength": 32768,
                },
            },
        },
    })
}

/// A map of texts.
pub(crate) fn texts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 256,
        "additionalProperties": { "type": "string", "maxLength": 32768 },
    })
}

/// An object that is kept as it is.
pub(crate) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A list of objects that are kept as they are.
pub(crate) fn any_objects(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 1024, "x-kubernetes-list-type": "atomic",
        "items": any_object(generator),
    })
}

/// A value of any type that is kept as it is.
pub(crate) fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

/// `corev1.ObjectReference`.
pub(crate) fn object_reference(_: &mut SchemaGenerator) -> Schema {
    let text = |description: &str| {
        let schema = json_schema!({ "type": "string", "maxLength": 1024 });
        described(schema, description)
    };
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "apiVersion": text("The API version."),
            "kind": text("The kind."),
            "namespace": text("The namespace, if it is in one."),
            "name": text("The name."),
            "uid": text("What tells it from others of the same name, before and after it."),
            "resourceVersion": text("The version of the object."),
            "fieldPath": text("The part of the object, as in spec.containers[2]."),
        },
    })
}

/// `[]corev1.ObjectReference`.
pub(crate) fn object_references(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16_384, "x-kubernetes-list-type": "atomic",
        "items": object_reference(generator),
    })
}

/// `metav1.LabelSelector`.
pub(crate) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    let key = json_schema!({ "type": "string", "minLength": 1, "maxLength": 317 });
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that must all be there with these values.",
                "type": "object", "maxProperties": 128,
                "additionalProperties": { "type": "string", "maxLength": 63 },
            },
            "matchExpressions": {
                "description": "Requirements that must all hold.",
                "type": "array", "maxItems": 128, "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": described(key, "The label key."),
                        "operator": {
                            "description": "In, NotIn, Exists or DoesNotExist.",
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "Values for In and NotIn; none for the others.",
                            "type": "array", "maxItems": 256, "x-kubernetes-list-type": "atomic",
                            "items": { "type": "string", "maxLength": 63 },
                        },
                    },
                },
            },
        },
    })
}

fn described(mut schema: Schema, description: &str) -> Schema {
    schema.insert("description".to_owned(), description.into());
    schema
}
