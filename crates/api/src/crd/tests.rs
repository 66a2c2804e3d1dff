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
            None if schema.x_kubernetes_preserve_unknown_fields == Some(true) => true,
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

/// The definitions of Kyverno's groups.
fn kyvernos() -> impl Iterator<Item = CustomResourceDefinition> {
    crds().into_iter().filter(|crd| crd.spec.group.ends_with("kyverno.io"))
}

/// The versions and what is stored are those of Kyverno 1.19.
#[test]
fn every_kind_of_kyverno_is_served_and_stored_in_its_versions() {
    let mut told = Vec::new();
    for crd in kyvernos() {
        let versions: Vec<_> = crd.spec.versions.iter().map(|it| it.name.as_str()).collect();
        let stored: Vec<_> = crd.spec.versions.iter().filter(|it| it.storage).collect();
        let [stored] = stored[..] else { panic!("{} stores {stored:?}", crd.spec.names.kind) };
        assert!(crd.spec.versions.iter().all(|version| version.served));
        let names = &crd.spec.names;
        told.push(format!(
            "{}.{} {} {} {} stores {}",
            names.plural,
            crd.spec.group,
            names.short_names.as_ref().unwrap().join(","),
            crd.spec.scope,
            versions.join(","),
            stored.name
        ));
    }
    let cluster = "Cluster v1,v1beta1,v1alpha1 stores v1beta1";
    let namespaced = "Namespaced v1,v1beta1 stores v1beta1";
    let group = "policies.kyverno.io";
    assert_eq!(
        told,
        [
            format!("validatingpolicies.{group} vpol {cluster}"),
            format!("namespacedvalidatingpolicies.{group} nvpol {namespaced}"),
            format!("policyexceptions.{group} polex Namespaced v1,v1beta1,v1alpha1 stores v1beta1"),
            "clusterpolicies.kyverno.io cpol Cluster v1,v2beta1 stores v1".to_owned(),
            "policies.kyverno.io pol Namespaced v1,v2beta1 stores v1".to_owned(),
            format!("mutatingpolicies.{group} mpol {cluster}"),
            format!("namespacedmutatingpolicies.{group} nmpol {namespaced}"),
            format!("generatingpolicies.{group} gpol {cluster}"),
            format!("namespacedgeneratingpolicies.{group} ngpol {namespaced}"),
            format!("imagevalidatingpolicies.{group} ivpol {cluster}"),
            format!("namespacedimagevalidatingpolicies.{group} nivpol {namespaced}"),
            format!("deletingpolicies.{group} dpol {cluster}"),
            format!("namespaceddeletingpolicies.{group} ndpol {namespaced}"),
        ]
    );
}

#[test]
fn a_kind_that_is_not_evaluated_is_kept_whole_and_described_as_what_it_is() {
    for crd in kyvernos().skip(5) {
        let kind = &crd.spec.names.kind;
        let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref();
        let schema = schema.unwrap();
        assert!(schema.description.as_ref().unwrap().starts_with(kind.as_str()));
        let spec = &schema.properties.as_ref().unwrap()["spec"];
        assert_eq!(spec.x_kubernetes_preserve_unknown_fields, Some(true), "{kind}");
        assert_eq!(spec.type_.as_deref(), Some("object"));
        assert!(spec.properties.as_ref().is_none_or(|properties| properties.is_empty()));
    }
}
