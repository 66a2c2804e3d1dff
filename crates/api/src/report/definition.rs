//! The definitions of reports. The derive macro for custom resources knows objects with a `spec` only;
//! what a report says is beside its metadata.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec, CustomResourceDefinitionVersion, CustomResourceValidation,
    JSONSchemaProps,
};
use kube::core::ObjectMeta;
use kube::core::schema::{OptionalEnum, OptionalIntOrString, StructuralSchemaRewriter};
use schemars::generate::SchemaSettings;

use super::{Report, ReportKind};

/// Name, type, path and priority of the columns that `kubectl get` prints.
const COLUMNS: [(&str, &str, &str, i32); 8] = [
    ("Kind", "string", ".scope.kind", 0),
    ("Name", "string", ".scope.name", 0),
    ("Pass", "integer", ".summary.pass", 0),
    ("Fail", "integer", ".summary.fail", 0),
    ("Warn", "integer", ".summary.warn", 0),
    ("Error", "integer", ".summary.error", 0),
    ("Skip", "integer", ".summary.skip", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
];

/// The definition of a kind.
pub(super) fn of(kind: ReportKind) -> CustomResourceDefinition {
    let api = kind.api();
    let version = CustomResourceDefinitionVersion {
        name: api.version().to_owned(),
        served: true,
        storage: true,
        additional_printer_columns: Some(COLUMNS.map(column).to_vec()),
        schema: Some(CustomResourceValidation { open_api_v3_schema: Some(schema(kind)) }),
        ..CustomResourceDefinitionVersion::default()
    };
    CustomResourceDefinition {
        metadata: ObjectMeta {
            name: Some(format!("{}.{}", kind.plural(), api.group())),
            ..ObjectMeta::default()
        },
        spec: CustomResourceDefinitionSpec {
            group: api.group().to_owned(),
            names: CustomResourceDefinitionNames {
                kind: kind.as_str().to_owned(),
                plural: kind.plural().to_owned(),
                singular: Some(kind.as_str().to_lowercase()),
                short_names: Some(vec![kind.short_name().to_owned()]),
                categories: Some(Vec::new()),
                ..CustomResourceDefinitionNames::default()
            },
            scope: if kind.is_namespaced() { "Namespaced" } else { "Cluster" }.to_owned(),
            versions: vec![version],
            ..CustomResourceDefinitionSpec::default()
        },
        status: None,
    }
}

fn schema(kind: ReportKind) -> JSONSchemaProps {
    // As for the kinds that are derived.
    let generator = SchemaSettings::openapi3()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .with_transform(schemars::transform::AddNullable::default())
        .with_transform(StructuralSchemaRewriter)
        .with_transform(OptionalEnum)
        .with_transform(OptionalIntOrString)
        .into_generator();
    let schema = serde_json::to_value(generator.into_root_schema_for::<Report>());
    let mut schema: JSONSchemaProps = schema
        .and_then(serde_json::from_value)
        .expect("what is derived is a schema of the kind that definitions have");
    let about = if kind.is_namespaced() { "in a namespace" } else { "of the cluster" };
    schema.description =
        Some(format!("{} is what policies say about a resource {about}.", kind.as_str()));
    schema
}

fn column(
    (name, type_, path, priority): (&str, &str, &str, i32),
) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.to_owned(),
        type_: type_.to_owned(),
        json_path: path.to_owned(),
        priority: Some(priority).filter(|priority| *priority > 0),
        ..CustomResourceColumnDefinition::default()
    }
}
