//! What only one format can say.

use super::formats::*;
use super::openmetrics::Labels;
use super::*;
use crate::exposition::protobuf::message;

#[test]
fn openmetrics_names_families_without_their_suffix_and_says_units() {
    let mut point = number(&[], 5.0);
    point.start_time_unix_nano = START;
    let mut busy = metric("busy.seconds", counter(vec![point]));
    (busy.unit, busy.description) = ("s".to_owned(), "How \"long\".".to_owned());
    let (written, _) = openmetrics(&[scoped("s", vec![busy])]);
    let labels = r#"{otel_scope_name="s",otel_scope_schema_url="",otel_scope_version=""}"#;
    let expected = [
        "# TYPE busy_seconds counter",
        "# UNIT busy_seconds seconds",
        "# HELP busy_seconds How \\\"long\\\".",
        &format!("busy_seconds_total{labels} 5"),
        "# EOF\n",
    ];
    assert_eq!(written, expected.join("\n"));
}

#[test]
fn the_newest_exemplar_of_a_counter_and_of_each_bucket_is_shown() {
    let ids = [("span_id", "cd".repeat(8)), ("trace_id", "ab".repeat(16))];
    let ids: Labels = ids.into_iter().map(|(name, id)| (name.to_owned(), id)).collect();
    let mut total = number(&[], 3.0);
    total.exemplars = vec![taken(1.0, START), taken(2.0, LATER)];
    let mut bare = taken(50.0, 0);
    (bare.trace_id, bare.span_id) = (Vec::new(), vec![1; 5]);
    let exemplars = vec![taken(0.5, LATER), taken(0.4, START), taken(0.51, START), bare];
    let buckets = distribution(&[0.5, 10.0], &[2, 1, 1], exemplars);
    let scopes = [scoped(
        "s",
        vec![metric("c", counter(vec![total])), metric("h", explicit(vec![buckets]))],
    )];

    let (written, families) = openmetrics(&scopes);
    let shown = |family: usize| -> Vec<_> {
        let samples = families[family].samples.iter();
        let exemplars = samples.filter_map(|sample| sample.exemplar.as_ref());
        exemplars.map(|it| (it.labels.clone(), it.value, it.time)).collect()
    };
    let (start, later) = (Some(1_700_000_000.25), Some(1_700_000_060.0));
    assert_eq!(shown(0), [(ids.clone(), 2.0, later)]);
    let expected =
        [(ids.clone(), 0.5, later), (ids.clone(), 0.51, start), (Labels::new(), 50.0, None)];
    assert_eq!(shown(1), expected, "{written}");

    let families = protobuf(&scopes);
    let shown = |exemplar: &Option<message::Exemplar>| {
        let exemplar = exemplar.as_ref().unwrap();
        (protobuf::labels(&exemplar.label), exemplar.value.unwrap())
    };
    let counter = families[0].metric[0].counter.as_ref().unwrap();
    assert_eq!(shown(&counter.exemplar), (ids.clone(), 2.0));
    assert_eq!(counter.created_timestamp, None);
    let histogram = families[1].metric[0].histogram.as_ref().unwrap();
    let buckets: Vec<_> = histogram.bucket.iter().map(|it| shown(&it.exemplar)).collect();
    assert_eq!(buckets, [(ids.clone(), 0.5), (ids, 0.51), (Labels::new(), 50.0)]);
    let created = histogram.created_timestamp.unwrap();
    assert_eq!((created.seconds, created.nanos), (1_700_000_000, 250_000_000));

    let text = text_page(&scopes);
    assert!(!text.contains(" # ") && !text.contains("_created"), "{text}");
}

#[test]
fn openmetrics_has_no_sum_of_what_can_be_negative() {
    let below = distribution(&[-1.0, 1.0], &[1, 1, 1], Vec::new());
    let mut silent = distribution(&[1.0], &[1, 1], Vec::new());
    silent.sum = None;
    for (point, has_count) in [(below, true), (silent, true)] {
        let scopes = [scoped("s", vec![metric("h", explicit(vec![point]))])];
        let (written, _) = openmetrics(&scopes);
        assert!(!written.contains("h_sum") && !written.contains("h_count"), "{written}");
        assert_eq!(text_page(&scopes).contains("h_count"), has_count);
    }
}

#[test]
fn families_of_openmetrics_do_not_share_names_either() {
    let one = || vec![number(&[], 1.0)];
    let scopes = [scoped(
        "s",
        vec![
            metric("x", counter(one())),
            metric("x", gauge(one())),
            metric("y_created", gauge(one())),
            metric("y", counter(one())),
            metric("z", counter(one())),
            metric("z_total", counter(one())),
        ],
    )];
    let (written, families) = openmetrics(&scopes);
    let names: Vec<_> = families.iter().map(|it| (it.name.as_str(), it.kind.as_str())).collect();
    assert_eq!(names, [("x", "counter"), ("y", "counter"), ("z", "counter")], "{written}");
    let text = parse(&text_page(&scopes)).unwrap();
    let names: Vec<_> = text.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["x", "x_total", "y_created", "y_total", "z_total"]);
}

#[test]
fn an_exponential_histogram_is_native_in_protobuf_with_its_exemplars_in_order() {
    let scopes = [scoped("s", vec![metric("h", exponential(vec![native(0), native(-5)]))])];
    let families = protobuf(&scopes);
    assert_eq!(families[0].metric.len(), 1, "one is too coarse for Prometheus");
    let histogram = families[0].metric[0].histogram.as_ref().unwrap();
    assert!(histogram.bucket.is_empty());
    assert_eq!((histogram.schema, histogram.zero_count), (Some(0), Some(2)));
    assert_eq!(histogram.positive_delta, [3, 1]);
    let values: Vec<_> = histogram.exemplars.iter().map(|it| it.value.unwrap()).collect();
    assert_eq!(values, [0.5, 1.5]);
    assert!(histogram.exemplars.iter().all(|it| it.timestamp.is_some()));

    let coarse = [scoped("s", vec![metric("h", exponential(vec![native(-5)]))])];
    assert_eq!(protobuf(&coarse), []);
    assert_eq!(text_samples(&text_page(&coarse)).len(), 3);
}

#[test]
fn nothing_recorded_is_a_page_all_the_same() {
    assert_eq!(page(&[], ExpositionFormat::Text), b"");
    assert_eq!(page(&[], ExpositionFormat::OpenMetrics), b"# EOF\n");
    assert_eq!(page(&[], ExpositionFormat::Protobuf), b"");
    let nothing = [scoped("s", vec![metric("g", gauge(Vec::new()))])];
    assert_eq!(page(&nothing, ExpositionFormat::Protobuf), b"");
    assert_eq!(page(&nothing, ExpositionFormat::OpenMetrics), b"# EOF\n");
    assert_eq!(page(&nothing, ExpositionFormat::Text), b"");
}
