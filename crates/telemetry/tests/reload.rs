//! A reload loses nothing, doubles nothing, and waits for nobody.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use opentelemetry::KeyValue;
use pharos_telemetry::config::{Header, OtlpSink};
use pharos_telemetry::{Change, Config, LastExport, Pipeline, Scrape, SinkHealth};
use support::{
    Answer, PATIENCE, Receiver, assert_no_series_goes_back, commit, gateway, metrics, scraped,
    scraping, start,
};

const OFTEN: Duration = Duration::from_millis(5);
const NEVER: Duration = Duration::from_secs(3600);

/// Threads that record all along.
struct Recorders {
    stop: Arc<AtomicBool>,
    recorded: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Recorders {
    fn start(pipeline: &Pipeline, threads: u64) -> Self {
        let (stop, recorded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let meter = pipeline.meter("test");
        let counter = meter.u64_counter("requests").build();
        let histogram = meter.f64_histogram("seconds").build();
        let threads = (0..threads).map(|number| {
            let (counter, histogram) = (counter.clone(), histogram.clone());
            let (stop, recorded) = (Arc::clone(&stop), Arc::clone(&recorded));
            thread::spawn(move || {
                let mut round = 0;
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    let attributes = [
                        KeyValue::new("thread", number as i64),
                        KeyValue::new("odd", round % 2 == 1),
                    ];
                    counter.add(1, &attributes);
                    histogram.record(0.01, &attributes);
                    recorded.fetch_add(1, Ordering::Relaxed);
                    thread::yield_now();
                }
            })
        });
        let threads = threads.collect();
        Self { stop, recorded, threads }
    }

    /// How many times each instrument was used, now that nobody uses it any more.
    fn stop(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.recorded.load(Ordering::Relaxed) as f64
    }
}

fn otlp(sink: OtlpSink) -> Config {
    Config::off().with_sink("gateway", sink)
}

fn text(pipeline: &Pipeline) -> String {
    match pipeline.scrape() {
        Scrape::Text(page) => page,
        Scrape::Off => panic!("nothing to scrape"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_reloads_lose_nothing_and_double_nothing() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    let recorders = Recorders::start(&pipeline, 2);
    for _ in 0..100 {
        let begun = receiver.exports().len();
        commit(&mut reloader, otlp(receiver.sink(OFTEN))).await.drain(PATIENCE).await;
        let first = pipeline.last_commit_exposition();
        receiver.until("the first export", |all| all.len() > begun).await;
        let sent = &receiver.exports()[begun];
        assert_eq!(sent.total("requests"), scraped(&first, "requests_total"));

        let drained = commit(&mut reloader, Config::prometheus()).await.drain(PATIENCE).await;
        assert_eq!(drained.lost(), 0, "{drained:?}");
        let at_commit = pipeline.last_commit_exposition();
        let last = receiver.exports().pop().unwrap();
        assert_eq!(last.total("requests"), scraped(&at_commit, "requests_total"));
        assert_eq!(last.total("seconds"), scraped(&at_commit, "seconds_count"));
        assert!(scraped(&text(&pipeline), "requests_total") >= last.total("requests"));
    }
    let recorded = recorders.stop();
    assert_eq!(scraped(&text(&pipeline), "requests_total"), recorded);
    assert_eq!(scraped(&text(&pipeline), "seconds_count"), recorded);
    reloader.shutdown(PATIENCE).await;
    assert_no_series_goes_back(&receiver.exports());
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_that_follow_each_other_at_one_endpoint_never_send_an_older_total_later() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    let recorders = Recorders::start(&pipeline, 1);
    for round in 0..60 {
        let mut sink = receiver.sink(OFTEN);
        sink.receiver.headers.push(Header::parse("x-round", &round.to_string()).unwrap());
        let name = ["one", "other"][round / 2 % 2];
        let retired = commit(&mut reloader, Config::off().with_sink(name, sink)).await;
        if round % 3 == 0 {
            retired.drain(PATIENCE).await;
        }
    }
    let recorded = recorders.stop();
    let report = reloader.shutdown(PATIENCE).await;
    assert_eq!(report.drained.lost(), 0, "{report:?}");
    assert_no_series_goes_back(&receiver.exports());
    assert_eq!(receiver.exports().pop().unwrap().total("requests"), recorded);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sinks_at_one_endpoint_take_turns() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    let recorders = Recorders::start(&pipeline, 1);
    let both = Config::off()
        .with_sink("one", receiver.sink(OFTEN))
        .with_sink("other", receiver.sink(OFTEN));
    commit(&mut reloader, both.clone()).await.drain(PATIENCE).await;
    // One comes and goes beside one that stays: neither may send what is old by then.
    for _ in 0..20 {
        let begun = receiver.exports().len();
        receiver.until("more exports", |all| all.len() > begun + 2).await;
        let one = Config::off().with_sink("one", receiver.sink(OFTEN));
        drop(commit(&mut reloader, one).await);
        drop(commit(&mut reloader, both.clone()).await);
    }
    let recorded = recorders.stop();
    reloader.shutdown(PATIENCE).await;
    let exports = receiver.exports();
    assert_no_series_goes_back(&exports);
    for last in &exports[exports.len() - 2..] {
        assert_eq!(last.total("requests"), recorded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_reload_that_is_dropped_changes_nothing() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    commit(&mut reloader, Config::prometheus()).await.drain(PATIENCE).await;
    let before = pipeline.debug().last_commit;

    let prepared = reloader.prepare(otlp(receiver.sink(OFTEN))).await.unwrap();
    let changes: Vec<_> =
        prepared.plan().sinks().map(|(name, it)| (name.to_string(), it)).collect();
    let expected = [("metrics/gateway", Change::Add), ("metrics/prometheus", Change::Remove)];
    assert_eq!(changes, expected.map(|(name, it)| (name.to_owned(), it)));
    drop(prepared);

    assert_eq!(*pipeline.running(), Config::prometheus());
    let debug = pipeline.debug();
    assert_eq!((debug.reloads.committed, debug.reloads.abandoned), (1, 1));
    assert_eq!(debug.last_commit, before);
    assert!(debug.sinks.is_empty());
    // The next reload finds its way as if nothing had been.
    commit(&mut reloader, otlp(receiver.sink(OFTEN))).await.drain(PATIENCE).await;
    receiver.next_export().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_cannot_run_is_refused_and_the_running_one_stays() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    commit(&mut reloader, Config::prometheus()).await.drain(PATIENCE).await;
    let zero = Duration::ZERO;
    let mut timeout = receiver.sink(OFTEN);
    timeout.receiver.timeout = zero;
    for (sink, reason) in [(receiver.sink(zero), "Period"), (timeout, "Timeout")] {
        let refused = reloader.prepare(otlp(sink)).await.err().map(|error| error.reason());
        assert_eq!(refused, Some(reason));
    }
    assert_eq!(*pipeline.running(), Config::prometheus());
    assert_eq!(pipeline.debug().reloads.refused, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_never_answers_delays_no_export_at_the_next_one() {
    let (silent, next) = (Receiver::start(), Receiver::start());
    silent.answers(Answer::Nothing);
    let (pipeline, mut reloader) = start();
    pipeline.meter("test").u64_counter("requests").build().add(7, &[]);
    let patient = silent.patient(OFTEN, NEVER);
    commit(&mut reloader, otlp(patient)).await.drain(PATIENCE).await;
    silent.until("the export that is never answered", |all| !all.is_empty()).await;

    // Longer than the patience of this test: what waited for the old sink would never come.
    let mut drain = pin!(commit(&mut reloader, otlp(next.sink(NEVER))).await.drain(NEVER));
    tokio::select! {
        biased;
        drained = &mut drain => panic!("nobody answered, and yet: {drained:?}"),
        () = next.until("the first export", |all| !all.is_empty()) => {}
    }
    assert_eq!(next.exports()[0].total("requests"), 7.0);

    // The old one was waiting all along, and would be still.
    tokio::time::timeout(PATIENCE, reloader.shutdown(Duration::ZERO)).await.unwrap();
    let drained = tokio::time::timeout(PATIENCE, drain).await.unwrap();
    let cut_short = LastExport::Lost { points: 0, reason: "sink_died" };
    assert_eq!(drained.sinks[&gateway()], cut_short);
}

#[tokio::test(flavor = "multi_thread")]
async fn last_exports_are_made_whether_or_not_anybody_waits() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    let counter = pipeline.meter("test").u64_counter("requests").build();
    commit(&mut reloader, otlp(receiver.sink(NEVER))).await.drain(PATIENCE).await;
    receiver.until("the first export", |all| !all.is_empty()).await;
    counter.add(5, &[]);
    drop(commit(&mut reloader, Config::off()).await);
    receiver.until("the last export", |all| all.len() == 2).await;
    assert_eq!(receiver.exports()[1].total("requests"), 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sinks_run_at_once_and_a_change_of_one_leaves_the_others_alone() {
    let (one, other) = (Receiver::start(), Receiver::start());
    let (pipeline, mut reloader) = start();
    pipeline.meter("test").u64_counter("requests").build().add(3, &[]);
    let all = Config::prometheus()
        .with_sink("one", one.sink(NEVER))
        .with_sink("other", other.sink(NEVER));
    commit(&mut reloader, all.clone()).await.drain(PATIENCE).await;
    for receiver in [&one, &other] {
        receiver.until("the first export", |all| !all.is_empty()).await;
        assert_eq!(receiver.exports()[0].total("requests"), 3.0);
    }
    assert_eq!(scraped(&text(&pipeline), "requests_total"), 3.0);

    let changed = other.patient(NEVER, PATIENCE);
    let drained =
        commit(&mut reloader, all.with_sink("other", changed)).await.drain(PATIENCE).await;
    assert_eq!(
        drained.sinks.keys().map(ToString::to_string).collect::<Vec<_>>(),
        ["metrics/other"]
    );
    other.until("first, last, and first again", |all| all.len() == 3).await;
    assert_eq!(one.exports().len(), 1, "a sink that is kept is not touched");
    assert_eq!(scraped(&text(&pipeline), "requests_total"), 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_config_again_is_no_reload() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    let config = otlp(receiver.sink(NEVER));
    commit(&mut reloader, config.clone()).await.drain(PATIENCE).await;
    let before = pipeline.debug().last_commit;
    let prepared = reloader.prepare(config).await.unwrap();
    assert!(prepared.plan().keeps_everything());
    assert!(prepared.commit().drain(PATIENCE).await.sinks.is_empty());
    assert_eq!(pipeline.debug().last_commit, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_of_the_config_go_out_under_those_of_the_writer() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    pipeline.meter("test").u64_counter("requests").build().add(1, &[]);
    let mut config = otlp(receiver.sink(NEVER));
    let attributes = [("cluster", "c-1"), ("service.name", "forged")];
    config.resource_attributes = attributes.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    commit(&mut reloader, config.clone()).await.drain(PATIENCE).await;
    receiver.until("the first export", |all| !all.is_empty()).await;

    config.resource_attributes.insert("cluster".to_owned(), "c-2".to_owned());
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    receiver.until("last of the old and first of the new", |all| all.len() == 3).await;
    let exports = receiver.exports();
    let clusters: Vec<_> = exports.iter().map(|it| it.resource("cluster").unwrap()).collect();
    assert_eq!(clusters, ["c-1", "c-1", "c-2"]);
    for export in exports {
        assert_eq!(export.resource("service.name").as_deref(), Some("pharos"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_speaks_of_the_sinks_that_run_and_no_others() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    let mut health = pipeline.health();
    assert!(health.borrow().sinks.is_empty());
    let config = otlp(receiver.sink(NEVER)).with_sink("scraped", scraping());
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    let settled = health.wait_for(|it| it.sinks.get(&gateway()) == Some(&SinkHealth::Healthy));
    let settled = tokio::time::timeout(PATIENCE, settled).await.unwrap().unwrap().clone();
    assert_eq!(settled.sinks[&metrics("scraped")], SinkHealth::Healthy);
    commit(&mut reloader, Config::off()).await.drain(PATIENCE).await;
    let empty = health.wait_for(|it| it.sinks.is_empty());
    tokio::time::timeout(PATIENCE, empty).await.unwrap().unwrap();
}
