//! What is said about policies: whether each is evaluated, and why not.
//!
//! [`desired`] is pure; [`StatusWriter`] writes it while this process leads, by server-side apply
//! with the resourceVersion that it was computed from, and only when it differs: a leader that wakes
//! late gets a 409, and the watch then brings what to compute from.
//!
//! **Beside other engines.** The condition is of a type of our own, each engine has a field manager
//! of its own, and conditions of others are handed on as they are: Kyverno's CRDs hold them as one
//! list, of which there is one owner. `ready` and `message` are one for all engines: the last writer's
//! value stands. Who finds its own replaced writes it again three times, and then every ten minutes,
//! so that two engines that disagree do not keep the API server busy. With
//! [`PolicyStatus::Kyverno`] nothing is written, and what is wrong is told by Events.

use std::str::FromStr;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use pharos_api::policy::cluster_policy::RuleCount;
use serde_json::{Map, Value, json};

use crate::policies::{Entry, Outcome};

mod writer;

pub(crate) use writer::StatusWriter;

/// Our condition, where the status is one of `policies.kyverno.io`.
const COMPILED: &str = "pharos.dev/Compiled";
/// Kyverno's, which its columns show, where the status is one of `kyverno.io`.
const READY: &str = "Ready";
/// What the CRD admits.
const LONGEST_MESSAGE: usize = 32_768;

/// Who writes the status of policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyStatus {
    /// This engine.
    #[default]
    Pharos,
    /// Kyverno, which runs beside it: no status is touched.
    Kyverno,
}

// === impl PolicyStatus ===

impl FromStr for PolicyStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "Pharos" => Ok(Self::Pharos),
            "Kyverno" => Ok(Self::Kyverno),
            _ => Err(format!("{text:?} is neither Pharos nor Kyverno")),
        }
    }
}

/// The status of a policy as far as it is ours, with the transition time of what stands where nothing
/// changed.
fn desired(entry: &Entry, now: Timestamp) -> Value {
    let message = shortened(&entry.outcome.message());
    let ready = entry.outcome.is_ready();
    let (path, r#type) = place(entry);
    let standing = conditions(entry, path);
    let status = if ready { "True" } else { "False" };
    let since = standing
        .iter()
        .find(|was| was.type_ == r#type && was.status == status)
        .map_or(Time(now), |was| was.last_transition_time.clone());
    let ours = Condition {
        type_: r#type.to_owned(),
        status: status.to_owned(),
        reason: entry.outcome.reason().to_owned(),
        message: message.clone(),
        observed_generation: entry.metadata.generation,
        last_transition_time: since,
    };
    let others = standing.into_iter().filter(|it| it.type_ != r#type);
    let conditions: Vec<_> = others.chain([ours]).collect();
    if entry.kind.is_of_kyverno_io() {
        json!({"conditions": conditions, "rulecount": rule_count(entry)})
    } else {
        let summary = json!({"ready": ready, "message": message, "conditions": conditions});
        let mut status = json!({"conditionStatus": summary});
        if let Outcome::InForce(policy) = &entry.outcome
            && !policy.autogen().configs.is_empty()
        {
            status["autogen"] = json!(policy.autogen());
        }
        status
    }
}

/// How many rules there are of each kind, as Kyverno counts them: those that were written.
fn rule_count(entry: &Entry) -> RuleCount {
    let rules = entry.field("spec").get("rules").and_then(Value::as_array);
    let count = |field: &str| {
        let is = |rule: &&Value| rule.get(field).is_some_and(|it| !it.is_null());
        let count = rules.into_iter().flatten().filter(is).count();
        count.try_into().unwrap_or(i32::MAX)
    };
    RuleCount {
        validate: count("validate"),
        mutate: count("mutate"),
        generate: count("generate"),
        verifyimages: count("verifyImages"),
    }
}

/// Where the conditions of a status are, and the type of ours.
fn place(entry: &Entry) -> (&'static str, &'static str) {
    if entry.kind.is_of_kyverno_io() {
        ("/conditions", READY)
    } else {
        ("/conditionStatus/conditions", COMPILED)
    }
}

/// The conditions that stand; those that are none are nobody's.
fn conditions(entry: &Entry, path: &str) -> Vec<Condition> {
    let conditions = entry.field("status").pointer(path).and_then(Value::as_array);
    let conditions = conditions.into_iter().flatten();
    conditions.filter_map(|it| serde_json::from_value(it.clone()).ok()).collect()
}

/// Whether all of `desired` stands, and nothing that was generated from an earlier policy.
fn stands(desired: &Value, current: &Value) -> bool {
    let generated = |status: &Value| -> Vec<String> {
        let configs = status.pointer("/autogen/configs").and_then(Value::as_object);
        configs.into_iter().flat_map(Map::keys).cloned().collect()
    };
    generated(desired) == generated(current) && holds(desired, current)
}

/// Whether `desired` is part of `current`: what others and the definition's defaults add is theirs.
fn holds(desired: &Value, current: &Value) -> bool {
    match (desired, current) {
        (Value::Object(desired), Value::Object(current)) => desired
            .iter()
            .all(|(field, value)| current.get(field).is_some_and(|it| holds(value, it))),
        // Conditions, whose order does not count.
        (Value::Array(desired), Value::Array(current)) if desired.iter().all(has_type) => {
            desired.iter().all(|it| current.iter().any(|other| holds(it, other)))
        }
        (Value::Array(desired), Value::Array(current)) => {
            desired.len() == current.len()
                && desired.iter().zip(current).all(|(desired, current)| holds(desired, current))
        }
        _ => desired == current,
    }
}

fn has_type(value: &Value) -> bool {
    value.as_object().is_some_and(|object: &Map<_, _>| object.contains_key("type"))
}

fn shortened(message: &str) -> String {
    message[..message.floor_char_boundary(LONGEST_MESSAGE)].to_owned()
}

#[cfg(test)]
mod tests;
