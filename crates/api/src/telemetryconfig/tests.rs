use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::*;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/telemetryconfig");

/// Fills in the schema's defaults as an API server does.
fn fill_in(value: &mut Value, schema: &JSONSchemaProps) {
    match value {
        Value::Object(map) => {
            for (name, property) in schema.properties.iter().flatten() {
                if let Some(default) = &property.default {
                    map.entry(name).or_insert_with(|| default.0.clone());
                }
                if let Some(value) = map.get_mut(name) {
                    fill_in(value, property);
                }
            }
        }
        Value::Array(items) => {
            if let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items {
                items.iter_mut().for_each(|item| fill_in(item, schema));
            }
        }
        _ => {}
    }
}

fn schema() -> JSONSchemaProps {
    TelemetryConfig::crd().spec.versions.remove(0).schema.unwrap().open_api_v3_schema.unwrap()
}

fn examples(kind: &str) -> Vec<(String, String)> {
    let files: Vec<_> = std::fs::read_dir(format!("{EXAMPLES}/{kind}"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    assert!(files.len() > 2, "{files:?}");
    files
}

#[test]
fn every_good_example_survives_decoding_with_the_defaults_of_the_schema() {
    for (path, text) in examples("good") {
        let written: Value = serde_saphyr::from_str(&text).unwrap();
        let decoded: TelemetryConfig = serde_json::from_value(written.clone()).unwrap();
        let mut filled_in = written;
        fill_in(&mut filled_in, &schema());
        assert_eq!(serde_json::to_value(decoded).unwrap(), filled_in, "{path}");
    }
}

#[test]
fn every_bad_example_says_what_refuses_it_and_with_which_message() {
    for (path, text) in examples("bad") {
        let mut lines = text.lines();
        for start in ["# Refused by: ", "# Message: "] {
            let line = lines.next().unwrap_or_default();
            assert!(
                line.strip_prefix(start).is_some_and(|rest| !rest.is_empty()),
                "{path}: {line}"
            );
        }
    }
}

#[test]
fn the_messages_of_bad_examples_are_those_of_the_definition() {
    let definition = serde_json::to_string(&schema()).unwrap();
    let messages_of_the_api_server =
        ["should be greater", "should have at least", "supported values"];
    for (path, text) in examples("bad") {
        let message = text.lines().nth(1).unwrap().trim_start_matches("# Message: ");
        let known = definition.contains(message)
            || messages_of_the_api_server.iter().any(|start| message.starts_with(start));
        assert!(known, "{path}: {message}");
    }
}

#[test]
fn the_defaults_of_the_types_are_those_of_decoding() {
    assert_eq!(MetricsSpec::default(), serde_json::from_value(json!({})).unwrap());
    assert_eq!(TracesSpec::default(), serde_json::from_value(json!({})).unwrap());
    assert_eq!(LogsSpec::default(), serde_json::from_value(json!({})).unwrap());
    assert_eq!(Base2ExponentialHistogram::default(), serde_json::from_value(json!({})).unwrap());
}

#[test]
fn the_columns_of_kubectl_get_stand_in_their_order() {
    let version = TelemetryConfig::crd().spec.versions.remove(0);
    let (wide, narrow): (Vec<_>, Vec<_>) = version
        .additional_printer_columns
        .unwrap()
        .into_iter()
        .map(|column| (column.name.to_uppercase(), column.priority.unwrap_or(0), column.type_))
        .partition(|(_, priority, _)| *priority > 0);
    let names = |columns: &[(String, i32, String)]| {
        columns.iter().map(|(name, ..)| name.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&narrow), "READY REASON PROGRAMMED EXPORT AGE");
    assert_eq!(names(&wide), "ACCEPTED REFS COMPONENTS CERTEXPIRY EXPORTERS");
    assert!(wide.iter().all(|(.., kind)| kind == "string"), "a date column cannot show the future");
}

#[test]
fn a_status_survives_decoding() {
    let status = json!({
        "observedGeneration": 7,
        "programmedGeneration": 6,
        "replicasProgrammed": 1,
        "replicasLive": 2,
        "programmedReplicas": "1/2",
        "components": [
            {"component": "Admission", "state": "Active", "replicasProgrammed": 1, "replicasLive": 2},
            {"component": "BackgroundScan", "state": "Overridden", "by": "scans",
             "reason": "Conflicted", "replicasProgrammed": 0, "replicasLive": 0},
        ],
        "exporters": "gateway, prometheus",
        "nextCertificateExpiryTime": "2027-01-01T00:00:00Z",
        "conditions": [{
            "type": "Ready", "status": "Unknown", "reason": "Progressing", "message": "",
            "observedGeneration": 7, "lastTransitionTime": "2026-11-22T10:00:00Z",
        }],
        "replicas": [{
            "podName": "pharos-0", "components": ["Admission"], "state": "Failed",
            "observedGeneration": 7, "configHash": "c0ffee", "reason": "RunningPreviousConfig",
            "message": "the port is taken", "lastTransitionTime": "2026-11-22T10:00:00Z",
            "exporters": [{
                "name": "gateway", "signal": "Metrics", "state": "Failing",
                "reason": "EndpointUnreachable", "message": "connection refused",
                "lastTransitionTime": "2026-11-22T10:00:00Z",
            }],
        }],
    });
    let decoded: TelemetryConfigStatus = serde_json::from_value(status.clone()).unwrap();
    assert_eq!(serde_json::to_value(decoded).unwrap(), status);
}
