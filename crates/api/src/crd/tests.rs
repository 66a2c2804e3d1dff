use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaPropsOrBool;

use super::*;

/// Calls `check` with every schema of every definition and its path.
fn every_schema(mut check: impl FnMut(&str, &JSONSchemaProps)) {
    fn walk(path: &str, schema: &JSONSchemaProps, check: &mut impl FnMut(&str, &JSONSchemaProps)) {
        check(path, schema);
        for (name, property) in schema.properties.iter().flatten() {
            walk(&format!("{path}.{name}"), property, check);
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
            walk(&format!("{path}[]"), items, check);
        }
        if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
            walk(&format!("{path}{{}}"), values, check);
        }
    }
    for crd in crds() {
        for version in &crd.spec.versions {
            let schema = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
            walk(&format!("{}/{}", crd.spec.names.kind, version.name), schema, &mut check);
        }
    }
}

#[test]
fn every_string_list_map_and_number_has_a_bound() {
    let mut unbounded = BTreeSet::new();
    every_schema(|path, schema| {
        let bounded = match schema.type_.as_deref() {
            Some("string") => {
                schema.max_length.is_some()
                    || schema.enum_.is_some()
                    || schema.format.as_deref() == Some("date-time")
            }
            Some("array") => schema.max_items.is_some(),
            Some("integer") => {
                let counted_by_pharos = path.contains(".status.") || path.contains(".conditions[]");
                schema.minimum.is_some() && (schema.maximum.is_some() || counted_by_pharos)
            }
            Some("object") => {
                schema.additional_properties.is_none() || schema.max_properties.is_some()
            }
            Some("boolean") => true,
            other => panic!("{path} has type {other:?}"),
        };
        if !bounded {
            unbounded.insert(path.to_owned());
        }
    });
    assert_eq!(unbounded, BTreeSet::new());
}

#[test]
fn every_list_says_how_it_is_merged() {
    let mut silent = BTreeSet::new();
    every_schema(|path, schema| {
        if schema.type_.as_deref() == Some("array") && schema.x_kubernetes_list_type.is_none() {
            silent.insert(path.to_owned());
        }
    });
    assert_eq!(silent, BTreeSet::new());
}

#[test]
fn every_field_is_described_in_one_paragraph() {
    every_schema(|path, schema| {
        let element = path.ends_with("[]") || path.ends_with("{}");
        let described = schema.description.as_deref().is_some_and(|text| !text.contains('\n'));
        assert!(element || described, "{path}: {:?}", schema.description);
    });
}

/// Also: the derive macro does not put the type's description in place of the field's.
#[test]
fn every_optional_choice_of_a_spec_says_what_unset_means() {
    let mut choices = 0;
    every_schema(|path, schema| {
        for (name, property) in schema.properties.iter().flatten() {
            let required = schema.required.iter().flatten().any(|required| required == name);
            if property.enum_.is_none() || property.default.is_some() || required {
                continue;
            }
            if path.contains(".spec") {
                let description = property.description.as_deref().unwrap_or_default();
                assert!(description.contains("Unset means"), "{path}.{name}: {description}");
                choices += 1;
            }
        }
    });
    assert!(choices > 0);
}

#[test]
fn a_null_is_dropped_by_the_api_server_wherever_it_stands() {
    every_schema(|path, schema| assert_eq!(schema.nullable, None, "{path}"));
}

#[test]
fn every_rule_has_a_message_on_one_line() {
    every_schema(|path, schema| {
        for rule in schema.x_kubernetes_validations.iter().flatten() {
            let message = rule.message.as_deref().unwrap_or_default();
            assert!(!message.is_empty() && !message.contains('\n'), "{path}: {}", rule.rule);
        }
    });
}

#[test]
fn the_yaml_is_the_definition() {
    for crd in crds() {
        let read: CustomResourceDefinition = serde_saphyr::from_str(&yaml(&crd).unwrap()).unwrap();
        assert_eq!(read, crd);
    }
}

#[test]
fn policies_of_all_kyverno_versions_are_served_and_one_is_stored() {
    let crd = crds().pop().unwrap();
    let versions: Vec<_> = crd
        .spec
        .versions
        .iter()
        .map(|version| (version.name.as_str(), version.served, version.storage))
        .collect();
    assert_eq!(versions, [("v1", true, true), ("v1beta1", true, false), ("v1alpha1", true, false)]);
}
