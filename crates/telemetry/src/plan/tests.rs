use super::*;
use crate::config::{Compression, Endpoint, Header, OtlpSink, ScrapeTransport, Temporality};
use std::time::Duration;

/// What it is about, from where, to where, and the changes in between.
type Row = (&'static str, Config, Config, Vec<(&'static str, Change)>);

fn otlp(change: impl FnOnce(&mut OtlpSink)) -> Config {
    let mut sink = OtlpSink::new(Endpoint::grpc("http://a:1").unwrap());
    change(&mut sink);
    Config::off().with_sink("s", sink)
}

fn with_attribute(mut config: Config) -> Config {
    config.resource_attributes.insert("k".to_owned(), "v".to_owned());
    config
}

fn scraped(name: &str) -> Config {
    Config::off().with_sink(name, MetricSink::Prometheus(ScrapeTransport::Plaintext))
}

#[test]
fn each_sink_gets_the_least_change_that_leads_there() {
    use Change::{Add, Keep, Remove, Swap};
    let same = || otlp(|_| {});
    let rows: Vec<Row> = vec![
        ("nothing", Config::off(), Config::off(), vec![]),
        ("start", Config::off(), scraped("p"), vec![("p", Add)]),
        ("stop", scraped("p"), Config::off(), vec![("p", Remove)]),
        ("same", same(), same(), vec![("s", Keep)]),
        (
            "endpoint",
            same(),
            otlp(|s| s.receiver.endpoint = Endpoint::grpc("http://b:1").unwrap()),
            vec![("s", Swap)],
        ),
        (
            "compression",
            same(),
            otlp(|s| s.receiver.compression = Compression::Zstd),
            vec![("s", Swap)],
        ),
        (
            "timeout",
            same(),
            otlp(|s| s.receiver.timeout = Duration::from_secs(3)),
            vec![("s", Swap)],
        ),
        ("period", same(), otlp(|s| s.period = Duration::from_secs(1)), vec![("s", Swap)]),
        ("temporality", same(), otlp(|s| s.temporality = Temporality::Delta), vec![("s", Swap)]),
        (
            "headers",
            same(),
            otlp(|s| s.receiver.headers.push(Header::parse("a", "b").unwrap())),
            vec![("s", Swap)],
        ),
        ("type", same(), scraped("s"), vec![("s", Swap)]),
        ("name", scraped("p"), scraped("q"), vec![("p", Remove), ("q", Add)]),
        (
            "another one",
            scraped("p"),
            same().with_sink("p", MetricSink::Prometheus(ScrapeTransport::Plaintext)),
            vec![("p", Keep), ("s", Add)],
        ),
        ("resource of a pushed sink", same(), with_attribute(same()), vec![("s", Swap)]),
        (
            "resource of a scraped sink",
            scraped("p"),
            with_attribute(scraped("p")),
            vec![("p", Keep)],
        ),
    ];
    for (what, running, wanted, expected) in rows {
        let plan = Plan::between(&running, &wanted);
        let changes: Vec<_> =
            plan.of(Signal::Metrics).map(|(name, change)| (name.as_str(), change)).collect();
        assert_eq!(changes, expected, "{what}");
        assert_eq!(plan.keeps_everything(), changes.iter().all(|(_, change)| *change == Keep));
    }
}
