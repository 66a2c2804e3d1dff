//! The format of Kyverno's tests, `kyverno-test.yaml`. A document that does not say what it is
//! (`apiVersion`, `kind`) is read as the old form, whose results name one resource each.

use anyhow::{Context, bail};
use pharos_policy::Operation;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::judge::{self, RuleResult};

/// A test: policies, resources, and what is to come out.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Suite {
    api_version: String,
    kind: String,
    metadata: Metadata,
    name: String,
    /// Files and folders, from that of the test.
    pub(super) policies: Vec<String>,
    pub(super) resources: Vec<String>,
    /// What policies would change, and would be compared with.
    #[serde(rename = "targetResources")]
    _target_resources: Vec<String>,
    #[serde(rename = "paramResources")]
    _param_resources: Vec<String>,
    pub(super) cluster_resources: Vec<String>,
    /// The values file.
    pub(super) variables: String,
    /// The values themselves; they count for more than the file.
    pub(super) values: Option<Value>,
    /// The user info file.
    pub(super) userinfo: String,
    /// The context file: what `resource` and `image` find.
    pub(super) context: String,
    pub(super) exceptions: Vec<String>,
    pub(super) results: Vec<Expectation>,
    // Payloads that are no resources, and answers of others: for policies that are unsupported.
    #[serde(rename = "jsonPayload")]
    _json_payload: IgnoredAny,
    #[serde(rename = "jsonPayloads")]
    _json_payloads: IgnoredAny,
    #[serde(rename = "httpPayloads")]
    _http_payloads: IgnoredAny,
    #[serde(rename = "envoyPayloads")]
    _envoy_payloads: IgnoredAny,
    #[serde(rename = "apiCallResponses")]
    _api_call_responses: IgnoredAny,
    #[serde(rename = "globalContextEntries")]
    _global_context_entries: IgnoredAny,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
}

/// What is to come out of a policy about some resources.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Expectation {
    /// NAME or NAMESPACE/NAME.
    pub(super) policy: String,
    /// The rule; empty for all of the policy.
    #[serde(default)]
    pub(super) rule: String,
    #[serde(default, rename = "kind")]
    _kind: String,
    /// NAME or NAMESPACE/NAME; with specs: all resources, where neither names any.
    #[serde(default)]
    pub(super) resources: Vec<String>,
    #[serde(default)]
    pub(super) resource_specs: Vec<ResourceSpec>,
    /// The one resource of the old form, and its namespace.
    #[serde(default)]
    resource: String,
    #[serde(default)]
    namespace: String,
    #[serde(alias = "status")]
    pub(super) result: RuleResult,
    /// What is done, where it matters.
    #[serde(default)]
    operation: String,
    // What is compared with the outcome of policies that are unsupported.
    #[serde(default, rename = "patchedResources", alias = "patchedResource")]
    _patched_resources: IgnoredAny,
    #[serde(default, rename = "generatedResource")]
    _generated_resource: IgnoredAny,
    #[serde(default, rename = "generatedResources")]
    _generated_resources: IgnoredAny,
    #[serde(default, rename = "cloneSourceResource")]
    _clone_source_resource: IgnoredAny,
    #[serde(default, rename = "failOnMissingResources")]
    _fail_on_missing_resources: IgnoredAny,
    // The policy knows its kind itself.
    #[serde(default, rename = "isValidatingPolicy")]
    _is_validating_policy: IgnoredAny,
    #[serde(default, rename = "isValidatingAdmissionPolicy")]
    _is_validating_admission_policy: IgnoredAny,
    #[serde(default, rename = "isMutatingAdmissionPolicy")]
    _is_mutating_admission_policy: IgnoredAny,
    #[serde(default, rename = "isMutatingPolicy")]
    _is_mutating_policy: IgnoredAny,
    #[serde(default, rename = "isGeneratingPolicy")]
    _is_generating_policy: IgnoredAny,
    #[serde(default, rename = "isDeletingPolicy")]
    _is_deleting_policy: IgnoredAny,
    #[serde(default, rename = "isImageValidatingPolicy")]
    _is_image_validating_policy: IgnoredAny,
}

/// A resource that is named in full. Kyverno compares all but the kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ResourceSpec {
    pub(super) group: String,
    pub(super) version: String,
    #[serde(rename = "kind")]
    _kind: String,
    pub(super) namespace: String,
    #[serde(rename = "subresource")]
    _subresource: String,
    pub(super) name: String,
}

const API_VERSION: &str = "cli.kyverno.io/v1alpha1";
const KIND: &str = "Test";

// === impl Suite ===

impl Suite {
    pub(super) fn parse(document: Value) -> anyhow::Result<Self> {
        let mut suite: Self = serde_json::from_value(document).context("no test")?;
        match (suite.api_version.as_str(), suite.kind.as_str()) {
            (API_VERSION, KIND) | ("", "") => {}
            (version, kind) => bail!("{version} {kind} is not {API_VERSION} {KIND}"),
        }
        for expectation in &mut suite.results {
            expectation.settle()?;
        }
        Ok(suite)
    }

    /// The name; empty where it has none.
    pub(super) fn name(&self) -> &str {
        if self.metadata.name.is_empty() { &self.name } else { &self.metadata.name }
    }

    /// Every operation that a result asks for, none twice.
    pub(super) fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for operation in self.results.iter().filter_map(Expectation::operation) {
            if !operations.contains(&operation) {
                operations.push(operation);
            }
        }
        operations
    }
}

// === impl Expectation ===

impl Expectation {
    /// Reads the old form as the new one, and refuses an operation that does not exist.
    fn settle(&mut self) -> anyhow::Result<()> {
        if !self.resource.is_empty() {
            let namespace = match self.namespace.as_str() {
                "" => String::new(),
                namespace => format!("{namespace}/"),
            };
            self.resources.push(format!("{namespace}{}", self.resource));
        }
        if !self.operation.is_empty() {
            let why = || format!("the result of policy {}", self.policy);
            judge::operation(&self.operation).with_context(why)?;
        }
        Ok(())
    }

    /// What is done, where the result asks for it.
    pub(super) fn operation(&self) -> Option<Operation> {
        judge::operation(&self.operation).ok()
    }

    /// The policy's name without its namespace.
    pub(super) fn policy_name(&self) -> &str {
        self.policy.rsplit('/').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(yaml: &str) -> anyhow::Result<Suite> {
        Suite::parse(serde_saphyr::from_str(yaml)?)
    }

    #[test]
    fn a_test_has_policies_resources_and_what_is_to_come_out() {
        let suite = parse(
            "{apiVersion: cli.kyverno.io/v1alpha1, kind: Test, metadata: {name: t}, policies: [p.yaml], \
             resources: [r.yaml], results: [{policy: n/p, kind: Pod, isValidatingPolicy: true, \
             resources: [a, n/b], result: fail, operation: UPDATE}, {policy: p, result: warn}]}",
        )
        .unwrap();
        assert_eq!(suite.name(), "t");
        assert_eq!(suite.operations(), [Operation::Update]);
        let [first, second] = &suite.results[..] else { panic!("{suite:?}") };
        assert_eq!((first.policy_name(), first.result), ("p", RuleResult::Fail));
        assert_eq!((second.operation(), second.result), (None, RuleResult::Warn));
    }

    #[test]
    fn the_old_form_names_one_resource_and_a_status() {
        let suite = parse(
            "{name: old, results: [{policy: p, rule: r, resource: a, namespace: ns, kind: Pod, \
             status: pass}, {policy: p, rule: r, resource: b, kind: Pod, result: fail}]}",
        )
        .unwrap();
        assert_eq!(suite.name(), "old");
        assert_eq!(suite.results[0].resources, ["ns/a"]);
        assert_eq!(suite.results[0].result, RuleResult::Pass);
        assert_eq!(suite.results[1].resources, ["b"]);
    }

    #[test]
    fn what_would_be_passed_over_is_refused() {
        for text in [
            "{apiVersion: cli.kyverno.io/v1beta1, kind: Test}",
            "{kind: Values}",
            "{resluts: []}",
            "{results: [{policy: p, result: passed}]}",
            "{results: [{policy: p}]}",
            "{results: [{policy: p, result: pass, resuorces: [a]}]}",
            "{results: [{policy: p, result: pass, operation: PATCH}]}",
            "text",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
