//! The same records through OpenTelemetry's own Prometheus exporter, without exponential
//! histograms, which it drops.

#![expect(
    clippy::disallowed_methods,
    reason = "the exporter that is compared with needs a provider of its own"
)]

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::{Array, InstrumentationScope, StringValue, Value};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::formats::{agreed, assert_same, text_samples};
use super::*;

/// Records with both, and compares every sample; gives back both pages.
fn compared(record: impl Fn(&Meter)) -> (String, String) {
    // Prometheus reads an empty label as none; the other exporter writes none.
    let scope =
        || InstrumentationScope::builder("scope").with_version("1").with_schema_url("http://s");
    let generation = Totals::empty();
    record(&generation.meter_with_scope(scope().build()));
    let snapshot = generation.snapshot();
    let ours = text(&snapshot);

    let registry = prometheus::Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone());
    let exporter = exporter.without_units().without_target_info().build().unwrap();
    let provider = SdkMeterProvider::builder().with_reader(exporter).build();
    record(&provider.meter_with_scope(scope().build()));
    let theirs = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();

    assert_same(&text_samples(&ours), &text_samples(&theirs));
    assert_same(&agreed(snapshot.scopes()), &text_samples(&theirs));
    (ours, theirs)
}

/// The lines that say what a family is. The other exporter writes a head without a help.
fn comments(page: &str) -> BTreeSet<&str> {
    page.lines().filter(|line| line.starts_with('#') && !line.ends_with(' ')).collect()
}

#[test]
fn the_exporter_of_opentelemetry_shows_the_same_series_and_types() {
    let (ours, theirs) = compared(|meter| {
        let attributes = [KeyValue::new("http.method", "GET"), KeyValue::new("ok", true)];
        meter
            .u64_counter("requests")
            .with_description("a \\ and\na line")
            .build()
            .add(3, &attributes);
        meter.f64_counter("seconds").build().add(0.25, &[KeyValue::new("n", 7)]);
        meter.i64_up_down_counter("open.connections").build().add(-2, &attributes);
        meter.f64_gauge("load").build().record(1e9, &[KeyValue::new("a", "say \"hi\"\n\\")]);
        let clash = [KeyValue::new("a.b", "2"), KeyValue::new("a-b", "1")];
        meter.u64_gauge("clash").build().record(1, &clash);
        let histogram = meter.f64_histogram("duration").with_boundaries(vec![0.1, 1.0, 1e6]);
        let histogram = histogram.build();
        for value in [0.05, 0.5, 5.0, 5e6] {
            histogram.record(value, &attributes);
        }
    });
    assert_eq!(comments(&ours), comments(&theirs));
}

#[test]
fn names_and_units_are_shown_alike() {
    for name in [
        "a",
        "A.b",
        "a/b-c",
        "a.b/c-d_e",
        "a1.2.3",
        "total",
        "le",
        "up",
        "request.duration",
        "request.duration.seconds",
        "request_bytes",
    ] {
        for unit in ["", "s", "ms", "By", "1", "{request}", "requests", "By/s", "%"] {
            compared(|meter| {
                let meter = || meter.clone();
                let one = [KeyValue::new("k", "v")];
                meter().u64_counter(format!("{name}.c")).with_unit(unit).build().add(1, &one);
                meter().f64_gauge(format!("{name}.g")).with_unit(unit).build().record(0.5, &one);
                meter().i64_up_down_counter(name).with_unit(unit).build().add(-1, &[]);
                meter()
                    .f64_histogram(format!("{name}.h"))
                    .with_unit(unit)
                    .build()
                    .record(3.0, &one);
            });
        }
    }
}

#[test]
fn attributes_are_shown_alike() {
    let list = |texts: &[&'static str]| {
        let texts: Vec<StringValue> = texts.iter().map(|text| StringValue::from(*text)).collect();
        Value::Array(Array::from(texts))
    };
    let table: Vec<Vec<KeyValue>> = vec![
        vec![],
        vec![KeyValue::new("empty", "")],
        vec![KeyValue::new("http.status-code", 200)],
        vec![KeyValue::new("ratio", 0.25), KeyValue::new("big", i64::MAX)],
        vec![KeyValue::new("yes", true), KeyValue::new("no", false)],
        vec![KeyValue::new("text", "ünïcode ✓ \u{1f980} \t\r")],
        vec![KeyValue::new("text", "\\ \" \n {} , = #")],
        vec![KeyValue::new("grün", 1), KeyValue::new("gr.n", 2)],
        vec![KeyValue::new("a.b", "2"), KeyValue::new("a-b", "1"), KeyValue::new("a_b", "3")],
        vec![KeyValue::new("_1st", "x"), KeyValue::new("quantile", "y")],
        vec![KeyValue::new("list", list(&["a", "b"])), KeyValue::new("none", list(&[]))],
        vec![KeyValue::new("job", "mine"), KeyValue::new("instance", "mine")],
    ];
    for attributes in table {
        compared(|meter| {
            meter.u64_counter("counter").build().add(7, &attributes);
            meter.f64_gauge("gauge").build().record(-0.5, &attributes);
            meter.f64_histogram("histogram").build().record(42.0, &attributes);
        });
    }
}

#[test]
fn values_are_shown_alike() {
    compared(|meter| {
        let gauge = meter.f64_gauge("gauge").build();
        for (n, value) in
            [0.0, -0.0, 1.0, -1.5, 1e-9, 1e6, 123_456_789.125, 1e21, f64::MAX, f64::MIN_POSITIVE]
                .into_iter()
                .enumerate()
        {
            gauge.record(value, &[KeyValue::new("n", n as i64)]);
        }
        gauge.record(f64::INFINITY, &[KeyValue::new("n", "inf")]);
        gauge.record(f64::NEG_INFINITY, &[KeyValue::new("n", "-inf")]);
        gauge.record(f64::NAN, &[KeyValue::new("n", "nan")]);
        meter.u64_counter("large").build().add(1 << 53, &[]);
        meter.f64_counter("fraction").build().add(0.1 + 0.2, &[]);
        let histogram = meter.f64_histogram("histogram");
        let histogram = histogram.with_boundaries(vec![0.0, 0.005, 1e6]).build();
        for value in [0.0, 0.005, 0.0050001, 1e7] {
            histogram.record(value, &[]);
        }
        meter.u64_histogram("bare").with_boundaries(Vec::new()).build().record(1, &[]);
    });
}

#[test]
fn descriptions_are_shown_alike() {
    for description in ["", "Plain.", "a \\ b", "two\nlines", "say \"hi\"", "größe ✓", " spaced "]
    {
        let (ours, theirs) = compared(|meter| {
            meter.u64_counter("c").with_description(description).build().add(1, &[]);
            meter.u64_gauge("g").with_description(description).build().record(1, &[]);
        });
        let lines = |page: &str| -> BTreeSet<String> {
            let lines = page.lines().filter(|line| line.starts_with('#'));
            lines.map(|line| line.trim_end().to_owned()).collect()
        };
        let ours: BTreeSet<_> = lines(&ours);
        let theirs: BTreeSet<_> = lines(&theirs)
            .into_iter()
            .filter(|line| !(description.is_empty() && line.starts_with("# HELP")))
            .collect();
        assert_eq!(ours, theirs);
    }
}

/// Where we follow Go's exporter, which Kyverno uses, and not Rust's: an underscore stands for a
/// run of what cannot be shown, a label begins with no digit, and a suffix that is there already is
/// not added again.
#[test]
fn runs_of_underscores_digits_and_totals_are_those_of_go() {
    let generation = Totals::empty();
    let meter = generation.meter("scope");
    meter
        .u64_counter("a..b__c_total")
        .build()
        .add(1, &[KeyValue::new("größe", 1), KeyValue::new("1st", 2)]);
    let page = text(&generation.snapshot());
    assert!(page.contains("\na_b_c_total{gr_e=\"1\",key_1st=\"2\","), "{page}");
}
