//! From documents to what the engine evaluates, by their kind.

use std::sync::Arc;

use pharos_policy::{
    CompileErrors, CompiledException, CompiledPolicy, Lookups, compile_cluster_policy,
    compile_exception, compile_namespaced_validating_policy, compile_policy,
    compile_validating_policy,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::PolicyId;
use crate::judge::object::group;

/// What became of a document.
#[derive(Debug)]
pub(super) enum Compiled<T> {
    Ready(Arc<T>),
    /// This version has not what it needs.
    Unsupported(String),
    /// Nothing could evaluate it.
    Invalid(String),
}

/// An exception, from which policies it is, and what became of it.
#[derive(Debug)]
pub(super) struct Exception {
    /// Kinds and names.
    policies: Vec<(String, String)>,
    compiled: Compiled<CompiledException>,
}

/// Kyverno's own group.
const KYVERNO: &str = "kyverno.io";
/// The group of policies that are all CEL.
const POLICIES: &str = "policies.kyverno.io";

/// Compiles a policy of any kind. In rules of a ClusterPolicy or a Policy, as with Kyverno, nothing is
/// looked up.
pub(super) fn policy(document: &Value, lookups: &Lookups) -> Compiled<CompiledPolicy> {
    let text = |field: &str| document[field].as_str().unwrap_or_default();
    match (group(text("apiVersion")), text("kind")) {
        (POLICIES, "ValidatingPolicy") => {
            compiled(document, |policy| compile_validating_policy(policy, lookups))
        }
        (POLICIES, "NamespacedValidatingPolicy") => compiled(&in_a_namespace(document), |policy| {
            compile_namespaced_validating_policy(policy, lookups)
        }),
        (KYVERNO, "ClusterPolicy") => compiled(document, compile_cluster_policy),
        (KYVERNO, "Policy") => compiled(&in_a_namespace(document), compile_policy),
        (_, kind) => Compiled::Unsupported(format!("this version does not evaluate a {kind}")),
    }
}

/// Why admission, where nothing can be looked up, refuses a policy; none if it does not.
pub(super) fn refusal(document: &Value) -> Option<String> {
    match policy(document, &Lookups::Refused) {
        Compiled::Ready(_) => None,
        Compiled::Unsupported(why) | Compiled::Invalid(why) => Some(why),
    }
}

/// Compiles an exception.
pub(super) fn exception(document: &Value) -> Exception {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let spec = &document["spec"];
    let api_version = text(document, "apiVersion");
    let (policies, compiled) = match group(&api_version) {
        KYVERNO => {
            let from = spec["exceptions"].as_array().into_iter().flatten();
            let names: Vec<_> = from.map(|it| text(it, "policyName")).collect();
            // A policy's namespace may stand before its name; the kind is whichever it is.
            let bare = |name: &String| name.rsplit('/').next().unwrap_or_default().to_owned();
            let both = |name: &String| {
                ["ClusterPolicy", "Policy"].map(|kind| (kind.to_owned(), bare(name)))
            };
            let why = "this version does not apply a PolicyException of kyverno.io";
            (names.iter().flat_map(both).collect(), Compiled::Unsupported(why.to_owned()))
        }
        _ => {
            let from = spec["policyRefs"].as_array().into_iter().flatten();
            let policies = from.map(|it| (text(it, "kind"), text(it, "name"))).collect();
            (policies, compiled(&in_a_namespace(document), compile_exception))
        }
    };
    Exception { policies, compiled }
}

/// What is in a namespace and does not say in which one is in the default one.
fn in_a_namespace(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("namespace").or_insert_with(|| "default".into());
    }
    document
}

fn compiled<K: DeserializeOwned, T>(
    document: &Value,
    compile: impl FnOnce(&K) -> Result<T, CompileErrors>,
) -> Compiled<T> {
    let decoded: K = match serde_json::from_value(document.clone()) {
        Ok(decoded) => decoded,
        Err(error) => return Compiled::Invalid(error.to_string()),
    };
    match compile(&decoded) {
        Ok(compiled) => Compiled::Ready(Arc::new(compiled)),
        Err(errors) if errors.iter().all(|error| error.reason() == "Unsupported") => {
            Compiled::Unsupported(errors.to_string())
        }
        Err(errors) => Compiled::Invalid(errors.to_string()),
    }
}

// === impl Exception ===

impl Exception {
    /// Whether it is from that policy.
    pub(super) fn is_from(&self, policy: &PolicyId) -> bool {
        self.policies.iter().any(|(kind, name)| *kind == policy.kind && *name == policy.name)
    }

    /// Why it cannot be applied, where it cannot.
    pub(super) fn problem(&self) -> Option<&Compiled<CompiledException>> {
        (!matches!(self.compiled, Compiled::Ready(_))).then_some(&self.compiled)
    }

    /// The exception, where it can be applied.
    pub(super) fn ready(&self) -> Option<Arc<CompiledException>> {
        match &self.compiled {
            Compiled::Ready(exception) => Some(exception.clone()),
            Compiled::Unsupported(_) | Compiled::Invalid(_) => None,
        }
    }
}
