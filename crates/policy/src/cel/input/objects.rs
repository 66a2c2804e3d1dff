//! The objects whose fields are known.
//!
//! Source: `admission.k8s.io/v1` AdmissionRequest and what Kubernetes shows of it and of a Namespace
//! to a ValidatingAdmissionPolicy; Kyverno's variable `exceptions`.

use crate::cel::types::{ObjectType, Type};

/// The request of an AdmissionReview, without its objects: they are variables of their own.
pub(super) static REQUEST: ObjectType = ObjectType {
    name: "kubernetes.AdmissionRequest",
    fields: || {
        vec![
            ("kind", Type::Object(&KIND)),
            ("resource", Type::Object(&RESOURCE)),
            ("subResource", Type::String),
            ("requestKind", Type::Object(&KIND)),
            ("requestResource", Type::Object(&RESOURCE)),
            ("requestSubResource", Type::String),
            ("name", Type::String),
            ("namespace", Type::String),
            ("operation", Type::String),
            ("userInfo", Type::Object(&USER)),
            ("dryRun", Type::Bool),
            ("options", Type::Dyn),
        ]
    },
};

static KIND: ObjectType = ObjectType {
    name: "kubernetes.GroupVersionKind",
    fields: || vec![("group", Type::String), ("version", Type::String), ("kind", Type::String)],
};

static RESOURCE: ObjectType = ObjectType {
    name: "kubernetes.GroupVersionResource",
    fields: || vec![("group", Type::String), ("version", Type::String), ("resource", Type::String)],
};

static USER: ObjectType = ObjectType {
    name: "kubernetes.UserInfo",
    fields: || {
        vec![
            ("username", Type::String),
            ("uid", Type::String),
            ("groups", Type::list(Type::String)),
            ("extra", Type::map(Type::String, Type::list(Type::String))),
        ]
    },
};

/// A Namespace.
pub(super) static NAMESPACE: ObjectType = ObjectType {
    name: "kubernetes.Namespace",
    fields: || {
        vec![
            ("metadata", Type::Object(&NAMESPACE_METADATA)),
            ("spec", Type::Object(&NAMESPACE_SPEC)),
            ("status", Type::Object(&NAMESPACE_STATUS)),
        ]
    },
};

static NAMESPACE_METADATA: ObjectType = ObjectType {
    name: "kubernetes.NamespaceMetadata",
    fields: || {
        let labels = || Type::map(Type::String, Type::String);
        vec![
            ("name", Type::String),
            ("generateName", Type::String),
            ("namespace", Type::String),
            ("labels", labels()),
            ("annotations", labels()),
            ("UID", Type::String),
            // Kubernetes calls them timestamps and passes strings.
            ("creationTimestamp", Type::Dyn),
            ("deletionTimestamp", Type::Dyn),
            ("deletionGracePeriodSeconds", Type::Int),
            ("generation", Type::Int),
            ("resourceVersion", Type::String),
            ("finalizers", Type::list(Type::String)),
        ]
    },
};

static NAMESPACE_SPEC: ObjectType = ObjectType {
    name: "kubernetes.NamespaceSpec",
    fields: || vec![("finalizers", Type::list(Type::String))],
};

static NAMESPACE_STATUS: ObjectType =
    ObjectType { name: "kubernetes.NamespaceStatus", fields: || vec![("phase", Type::String)] };

/// What the exceptions of a policy allow.
pub(super) static EXCEPTIONS: ObjectType = ObjectType {
    name: "kyverno.exceptions",
    fields: || {
        vec![
            ("allowedImages", Type::list(Type::String)),
            ("allowedValues", Type::list(Type::String)),
        ]
    },
};
