//! Policy reports: what policies say about one resource, where tools look for it.
//!
//! One type for four kinds. `wgpolicyk8s.io` is the older API of Kubernetes' policy working group,
//! `openreports.io` its successor; in each, one kind is for resources in namespaces and one for the
//! others. What is written in them is the same, so that a [`ReportKind`] is an argument of requests
//! and not a type.
//!
//! The field names, and which of them are there when nothing is in them, are those that Kyverno
//! writes: the tools that read its reports read these.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::KubeSchema;
use kube::core::{DynamicResourceScope, ObjectMeta, Resource, TypeMeta};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema;

mod definition;
mod kind;

pub use kind::{ReportApi, ReportKind};

/// What policies say about one resource.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The API version and the kind: a [`ReportKind`].
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub types: Option<TypeMeta>,

    /// The name is the uid of the resource, which owns the report.
    #[serde(default)]
    #[schemars(skip)]
    pub metadata: ObjectMeta,

    /// The resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_reference")]
    pub scope: Option<ResourceReference>,

    /// Resources by their labels, in place of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub scope_selector: Option<Value>,

    /// The engine of all results that do not name their own. Pharos names it in each.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub source: String,

    /// What the writer and the readers of reports have agreed on. Pharos writes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub configuration: Option<Value>,

    /// How many results there are of each outcome.
    #[serde(default)]
    pub summary: Summary,

    /// What each rule says, in the order of policies, rules and sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16_384))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub results: Vec<ReportResult>,
}

/// A resource, as reports name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Kubernetes' own names")]
pub struct ResourceReference {
    #[serde(default)]
    pub api_version: String,
    #[serde(default)]
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub uid: String,
}

/// How many results there are of each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Rules that the resource is as they want it.
    #[serde(default)]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub pass: u32,

    /// Rules that it is not as they want it.
    #[serde(default)]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub fail: u32,

    /// The same of policies that do not count.
    #[serde(default)]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub warn: u32,

    /// Rules that could not be evaluated.
    #[serde(default)]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub error: u32,

    /// Rules that were not applied.
    #[serde(default)]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub skip: u32,
}

/// What one rule says about the resource.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportResult {
    /// The engine, and which of its kinds of policies.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub source: String,

    /// The policy; with its namespace before a slash, if it is in one.
    #[schemars(length(max = 1024))]
    pub policy: String,

    /// The rule, where a policy has several.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub rule: String,

    /// What the policy is about, in the words of its annotation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 32_768))]
    pub category: String,

    /// How bad a violation is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Severity")]
    pub severity: Option<Severity>,

    /// Since when the result is this.
    #[serde(default)]
    pub timestamp: Timestamp,

    /// The outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Outcome")]
    pub result: Option<Outcome>,

    /// Whether the result counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scored: bool,

    /// Other resources than the one that the report is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::object_references")]
    pub resources: Vec<ResourceReference>,

    /// Resources by their labels, in place of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub resource_selector: Option<Value>,

    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 65_536))]
    pub message: String,

    /// More about the result.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::texts")]
    pub properties: BTreeMap<String, String>,
}

/// A moment, as the reports' APIs have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timestamp {
    /// Seconds since 1970.
    #[schemars(range(min = -62_135_596_800_i64, max = 253_402_300_799_i64))]
    pub seconds: i64,

    /// Nanoseconds of the second.
    #[schemars(range(min = 0, max = 999_999_999))]
    pub nanos: i32,
}

/// What came out of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The resource is as the rule wants it.
    Pass,
    /// It is not.
    Fail,
    /// It is not, and the policy does not count.
    Warn,
    /// The rule could not be evaluated.
    Error,
    /// The rule was not applied.
    Skip,
}

/// How bad a violation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the APIs' own names")]
pub enum Severity {
    Critical,
    High,
    Low,
    Medium,
    Info,
}

// === impl Report ===

impl Resource for Report {
    type DynamicType = ReportKind;
    type Scope = DynamicResourceScope;

    fn kind(kind: &ReportKind) -> Cow<'_, str> {
        kind.as_str().into()
    }

    fn group(kind: &ReportKind) -> Cow<'_, str> {
        kind.api().group().into()
    }

    fn version(kind: &ReportKind) -> Cow<'_, str> {
        kind.api().version().into()
    }

    fn plural(kind: &ReportKind) -> Cow<'_, str> {
        kind.plural().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

// === impl Summary ===

impl Summary {
    /// Counts the outcomes of these.
    pub fn of(results: &[ReportResult]) -> Self {
        let mut summary = Self::default();
        for outcome in results.iter().filter_map(|result| result.result) {
            let count = match outcome {
                Outcome::Pass => &mut summary.pass,
                Outcome::Fail => &mut summary.fail,
                Outcome::Warn => &mut summary.warn,
                Outcome::Error => &mut summary.error,
                Outcome::Skip => &mut summary.skip,
            };
            *count = count.saturating_add(1);
        }
        summary
    }
}

// === impl Severity ===

impl Severity {
    /// The severity of that name, if it is one.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "critical" => Some(Self::Critical),
            "high" => Some(Self::High),
            "medium" => Some(Self::Medium),
            "low" => Some(Self::Low),
            "info" => Some(Self::Info),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
