//! Answers as Prometheus gives them.

use serde_json::json;

use super::*;

#[test]
fn a_vector_has_numbers_and_histograms() {
    let histogram = json!({"count": "3", "sum": "0.5", "buckets": [[0, "0.1", "0.2", "3"]]});
    let body = json!({"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {"__name__": "up", "job": "pharos"}, "value": [1_700_000_000.5, "1"]},
        {"metric": {}, "value": [1_700_000_000, "+Inf"]},
        {"metric": {"__name__": "seconds"}, "histogram": [1_700_000_000, histogram]},
    ]}});
    let elements = elements(data(&body.to_string()).unwrap()).unwrap();
    assert_eq!((elements[0].label("job"), elements[0].value.number()), (Some("pharos"), Some(1.0)));
    assert_eq!(elements[1].value, QueryValue::Number(f64::INFINITY));
    assert_eq!(
        (elements[2].value.number(), elements[2].value.histogram()),
        (None, Some(&histogram))
    );
}

#[test]
fn a_scalar_is_an_element_without_labels() {
    let scalar = json!({"resultType": "scalar", "result": [1_700_000_000.5, "2.5"]});
    let element = Element { labels: BTreeMap::new(), value: QueryValue::Number(2.5) };
    assert_eq!(elements(scalar).unwrap(), [element]);
    let error = elements(json!({"resultType": "matrix", "result": []})).unwrap_err();
    assert_eq!(error.to_string(), "it is a matrix, neither a vector nor a scalar");
}

#[test]
fn an_error_says_what_prometheus_said() {
    let body = r#"{"status": "error", "errorType": "bad_data", "error": "parse error"}"#;
    let error = data(body).unwrap_err();
    assert_eq!(error.to_string(), "Prometheus answers error: parse error");
}

#[test]
fn a_target_says_why_it_is_down() {
    let data = json!({"activeTargets": [{
        "discoveredLabels": {}, "labels": {"job": "pharos"}, "scrapePool": "pharos",
        "scrapeUrl": "http://127.0.0.1:1/metrics", "lastError": "connection refused",
        "health": "down",
    }], "droppedTargets": []});
    let target = Target {
        job: "pharos".to_owned(),
        url: "http://127.0.0.1:1/metrics".to_owned(),
        health: Health::Down,
        last_error: "connection refused".to_owned(),
    };
    assert_eq!(targets(data).unwrap(), [target]);
}

#[test]
fn an_exemplar_belongs_to_its_series() {
    let data = json!([{
        "seriesLabels": {"__name__": "seconds_bucket", "le": "1"},
        "exemplars": [{"labels": {"trace_id": "aa"}, "value": "0.5", "timestamp": 17.25}],
    }]);
    let [exemplar] = &exemplars(data).unwrap()[..] else { panic!() };
    assert_eq!(exemplar.series["le"], "1");
    assert_eq!(exemplar.labels["trace_id"], "aa");
    assert_eq!((exemplar.value, exemplar.time), (0.5, 17.25));
}
