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

use crate::policy::cluster_policy::{ClusterPolicy, Policy};
use crate::policy::{
    NamespacedValidatingPolicy, PolicyException, UNEVALUATED, UnevaluatedKind, UnevaluatedPolicy,
    ValidatingPolicy,
};
use crate::report::ReportKind;
use crate::telemetryconfig::TelemetryConfig;

/// How Kyverno serves a kind: its versions, newest first, and which of them is stored. Pharos stores
/// the same, so that neither finds objects in a version that it does not know.
struct Versions {
    served: &'static [&'static str],
    stored: &'static str,
    deprecated: &'static [&'static str],
}

/// `policies.kyverno.io`.
const CEL_VERSIONS: Versions = Versions {
    served: &["v1", "v1beta1", "v1alpha1"],
    stored: "v1beta1",
    deprecated: &["v1alpha1"],
};
/// The kinds of `policies.kyverno.io` that are in a namespace, which are younger.
const NAMESPACED_CEL_VERSIONS: Versions =
    Versions { served: &["v1", "v1beta1"], stored: "v1beta1", deprecated: &[] };
/// `kyverno.io`.
const RULE_VERSIONS: Versions =
    Versions { served: &["v1", "v2beta1"], stored: "v1", deprecated: &[] };

/// Every CustomResourceDefinition that Pharos needs, in a stable order.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let validating = ValidatingPolicy::crd();
    let namespaced_validating = in_namespaces::<NamespacedValidatingPolicy>(
        validating.clone(),
        NamespacedValidatingPolicy::SHORT_NAME,
    );
    let rules = ClusterPolicy::crd();
    let namespaced_rules = in_namespaces::<Policy>(rules.clone(), Policy::SHORT_NAME);
    let mut crds = vec![
        TelemetryConfig::crd(),
        CEL_VERSIONS.of(validating),
        NAMESPACED_CEL_VERSIONS.of(namespaced_validating),
        CEL_VERSIONS.of(PolicyException::crd()),
        RULE_VERSIONS.of(rules),
        RULE_VERSIONS.of(namespaced_rules),
    ];
    crds.extend(UNEVALUATED.iter().flat_map(unevaluated));
    crds.extend(ReportKind::ALL.map(ReportKind::crd));
    crds.into_iter().map(adapted).collect()
}

/// `crd` as YAML that `kubectl apply -f` takes.
pub fn yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::SerializeError> {
    let mut value = serde_json::to_value(crd).expect("a definition has only string keys");
    integral_bounds(&mut value);
    serde_saphyr::to_string(&value)
}

/// The definition of a kind in namespaces, from that of the same kind for the cluster.
fn in_namespaces<K: kube::Resource<DynamicType = ()>>(
    crd: CustomResourceDefinition,
    short_name: &str,
) -> CustomResourceDefinition {
    let kind = K::kind(&());
    let mut crd = named(crd, &kind, &K::plural(&()), short_name);
    "Namespaced".clone_into(&mut crd.spec.scope);
    crd
}

/// The definitions of a kind that is not evaluated: for the cluster, and in namespaces.
fn unevaluated(kind: &UnevaluatedKind) -> [CustomResourceDefinition; 2] {
    let UnevaluatedKind { kind, namespaced_kind, plural, short_name, purpose } = kind;
    let describe = |mut crd: CustomResourceDefinition| {
        let description = format!(
            "{} {purpose}. Pharos stores it, does not evaluate it, and says so in its status.",
            crd.spec.names.kind,
        );
        for schema in schemas(&mut crd) {
            schema.description = Some(description.clone());
        }
        crd
    };
    let cluster = named(UnevaluatedPolicy::crd(), kind, plural, short_name);
    let plural = format!("namespaced{plural}");
    let mut namespaced =
        named(UnevaluatedPolicy::crd(), namespaced_kind, &plural, &format!("n{short_name}"));
    "Namespaced".clone_into(&mut namespaced.spec.scope);
    [CEL_VERSIONS.of(describe(cluster)), NAMESPACED_CEL_VERSIONS.of(describe(namespaced))]
}

/// The same definition for a kind of another name.
fn named(
    mut crd: CustomResourceDefinition,
    kind: &str,
    plural: &str,
    short_name: &str,
) -> CustomResourceDefinition {
    crd.metadata.name = Some(format!("{plural}.{}", crd.spec.group));
    let names = &mut crd.spec.names;
    kind.clone_into(&mut names.kind);
    plural.clone_into(&mut names.plural);
    names.singular = Some(kind.to_lowercase());
    names.short_names = Some(vec![short_name.to_owned()]);
    crd
}

fn schemas(crd: &mut CustomResourceDefinition) -> impl Iterator<Item = &mut JSONSchemaProps> {
    crd.spec
        .versions
        .iter_mut()
        .filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut())
}

// === impl Versions ===

impl Versions {
    /// Serves the one version of a definition under these names. Without a conversion the API server
    /// only changes `apiVersion`, which is right as long as all versions share one schema.
    fn of(&self, mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
        let only = crd.spec.versions.remove(0);
        let version = |name: &&str| CustomResourceDefinitionVersion {
            name: (*name).to_owned(),
            storage: *name == self.stored,
            deprecated: self.deprecated.contains(name).then_some(true),
            ..only.clone()
        };
        crd.spec.versions = self.served.iter().map(version).collect();
        crd
    }
}

/// Adapts every schema to what an API server and `kubectl explain` make of it.
fn adapted(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    schemas(&mut crd).for_each(adapt);
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
