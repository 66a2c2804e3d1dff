//! Kyverno's values file: what a request and its namespace are like, beside the object.
//!
//! Of its variables those that begin with `request.operation` mean something to a CEL policy; others
//! are read by policies of the JMESPath kind only.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use pharos_policy::Operation;
use serde::Deserialize;
use serde_json::{Value, json};

/// A values file, or the `values` of a test.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Values {
    #[serde(default, rename = "apiVersion")]
    _api_version: String,
    #[serde(default, rename = "kind")]
    _kind: String,
    #[serde(default, rename = "metadata")]
    _metadata: Value,
    /// Variables of every policy.
    #[serde(default)]
    global_values: BTreeMap<String, Value>,
    /// Variables of one policy.
    #[serde(default)]
    policies: Vec<PolicyValues>,
    /// Namespaces by their labels.
    #[serde(default)]
    namespace_selector: Vec<NamespaceLabels>,
    /// Whole namespaces; they count for more than labels.
    #[serde(default)]
    namespaces: Vec<Value>,
    /// Kinds that are parts of other resources.
    #[serde(default)]
    subresources: Vec<SubresourceMapping>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PolicyValues {
    name: String,
    #[serde(default)]
    resources: Vec<ResourceValues>,
}

#[derive(Debug, Deserialize)]
struct ResourceValues {
    name: String,
    #[serde(default)]
    values: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct NamespaceLabels {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubresourceMapping {
    subresource: ApiResource,
    parent_resource: ApiResource,
}

/// A resource as discovery describes it.
#[derive(Debug, Deserialize)]
struct ApiResource {
    name: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    version: String,
    kind: String,
}

/// The resource that an object is a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) sub_resource: String,
}

/// The variable that says what is done.
const OPERATION: &str = "request.operation";

/// The operation of that name.
pub(crate) fn operation(name: &str) -> anyhow::Result<Operation> {
    Ok(match name {
        "CREATE" => Operation::Create,
        "UPDATE" => Operation::Update,
        "DELETE" => Operation::Delete,
        _ => bail!("there is no operation {name}: it is CREATE, UPDATE or DELETE"),
    })
}

// === impl Values ===

impl Values {
    pub(crate) fn parse(document: Value) -> anyhow::Result<Self> {
        let values: Self = serde_json::from_value(document).context("no values file")?;
        // What cannot be used must not wait for the first object that would use it.
        let of_policies = values.policies.iter().flat_map(|policy| &policy.resources);
        let all = of_policies.map(|resource| &resource.values).chain([&values.global_values]);
        for value in all.filter_map(|values| values.get(OPERATION)) {
            stated(value).with_context(|| format!("the value of {OPERATION}"))?;
        }
        Ok(values)
    }

    /// What is done to every object, where the file says so.
    pub(crate) fn operation(&self) -> Option<Operation> {
        self.global_values.get(OPERATION).and_then(|value| stated(value).ok())
    }

    /// What is done to an object as far as one policy is concerned, where the file says so.
    pub(crate) fn operation_for(&self, policy: &str, object: &str) -> Option<Operation> {
        let policies = self.policies.iter().filter(|it| it.name == policy);
        let resources = policies.flat_map(|it| &it.resources).filter(|it| it.name == object);
        let mut values = resources.filter_map(|it| it.values.get(OPERATION));
        values.next_back().and_then(|value| stated(value).ok())
    }

    /// The Namespace of that name, where the file has one.
    pub(crate) fn namespace(&self, name: &str) -> Option<Value> {
        let whole = self.namespaces.iter().find(|it| it["metadata"]["name"] == name);
        let labels = || self.namespace_selector.iter().find(|it| it.name == name);
        whole.cloned().or_else(|| {
            let NamespaceLabels { labels, .. } = labels()?;
            let metadata = json!({"name": name, "labels": labels});
            Some(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
        })
    }

    /// What objects of that kind are a part of, where the file says that they are.
    pub(crate) fn parent(&self, group: &str, version: &str, kind: &str) -> Option<Parent> {
        let is_it = |it: &ApiResource| {
            (it.group.as_str(), it.version.as_str(), it.kind.as_str()) == (group, version, kind)
        };
        let mapping = self.subresources.iter().find(|it| is_it(&it.subresource))?;
        let (_, sub_resource) = mapping.subresource.name.split_once('/')?;
        let ApiResource { name, group, version, .. } = &mapping.parent_resource;
        Some(Parent {
            group: group.clone(),
            version: version.clone(),
            resource: name.clone(),
            sub_resource: sub_resource.to_owned(),
        })
    }
}

/// A connection has no object, so that Kyverno's users get a creation for it.
fn stated(value: &Value) -> anyhow::Result<Operation> {
    match value.as_str() {
        Some("" | "CONNECT") => Ok(Operation::Create),
        Some(name) => operation(name),
        None => bail!("it must be a string"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(yaml: &str) -> anyhow::Result<Values> {
        Values::parse(serde_saphyr::from_str(yaml)?)
    }

    #[test]
    fn operations_are_of_all_or_of_one_policy_and_object() {
        let values = values(
            "{kind: Values, globalValues: {request.operation: DELETE, other: 1}, \
             policies: [{name: p, resources: [{name: a, values: {request.operation: UPDATE}}]}]}",
        )
        .unwrap();
        assert_eq!(values.operation(), Some(Operation::Delete));
        assert_eq!(values.operation_for("p", "a"), Some(Operation::Update));
        assert_eq!(values.operation_for("p", "b"), None);
        assert_eq!(values.operation_for("q", "a"), None);
    }

    #[test]
    fn an_operation_that_does_not_exist_is_refused_before_anything_is_judged() {
        for stated in ["PATCH", "1", "create"] {
            assert!(values(&format!("{{globalValues: {{request.operation: {stated}}}}}")).is_err());
        }
        let of_one =
            "{policies: [{name: p, resources: [{name: a, values: {request.operation: x}}]}]}";
        assert!(values(of_one).is_err());
        let connect = values("{globalValues: {request.operation: CONNECT}}").unwrap();
        assert_eq!(connect.operation(), Some(Operation::Create));
    }

    #[test]
    fn a_whole_namespace_counts_for_more_than_its_labels() {
        let values = values(
            "{namespaces: [{metadata: {name: a, labels: {env: whole}}}], namespaceSelector: \
             [{name: a, labels: {env: labels}}, {name: b, labels: {env: labels}}]}",
        )
        .unwrap();
        let env = |name| values.namespace(name).map(|it| it["metadata"]["labels"]["env"].clone());
        assert_eq!(env("a"), Some("whole".into()));
        assert_eq!(env("b"), Some("labels".into()));
        assert_eq!(env("c"), None);
    }

    #[test]
    fn a_kind_may_be_a_part_of_a_resource() {
        let values = values(
            "{subresources: [{subresource: {name: deployments/scale, group: autoscaling, version: \
             v1, kind: Scale}, parentResource: {name: deployments, group: apps, version: v1, kind: \
             Deployment}}]}",
        )
        .unwrap();
        let parent = values.parent("autoscaling", "v1", "Scale").unwrap();
        assert_eq!(
            (parent.resource.as_str(), parent.sub_resource.as_str()),
            ("deployments", "scale")
        );
        assert_eq!(values.parent("apps", "v1", "Deployment"), None);
    }

    #[test]
    fn a_field_that_values_do_not_have_is_an_error() {
        assert!(values("{globalvalues: {request.operation: UPDATE}}").is_err());
    }
}
