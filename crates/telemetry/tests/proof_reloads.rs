//! A thousand reloads, back to back, each awaited to its outcome, while two threads record: every
//! receiver has every count, once, by its own rules.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may fail anywhere")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use pharos_telemetry::config::{Header, OtlpSink, Protocol, Temporality};
use pharos_telemetry::{Change, Config, GenerationChange, LastExport, SinkName};
use support::program::{Program, changing, shaped, started, text, until_settled};
use support::{Export, PATIENCE, Point, Receiver, scraped, scraping};

const RELOADS: usize = 1000;
const OFTEN: Duration = Duration::from_millis(5);
/// What goes on through every one of the shapes.
const CONTINUOUS: [&str; 2] = ["requests", "seconds"];

/// Everywhere that metrics go.
struct Receivers {
    /// By gRPC, by gRPC, by HTTP: totals.
    cumulative: [Receiver; 3],
    /// Both protocols: what was counted since.
    delta: [Receiver; 2],
    /// One sink that tells totals here, then deltas there.
    flipped: [Receiver; 2],
}

/// What a receiver knows from points of either temporality: totals of a metric, by time.
#[derive(Debug, Default)]
struct Account(BTreeMap<u64, f64>);

// === impl Receivers ===

impl Receivers {
    fn start() -> Self {
        let new = Receiver::start;
        Self { cumulative: [new(), new(), new()], delta: [new(), new()], flipped: [new(), new()] }
    }

    /// One after the other, all that there is: no two in a row alike.
    fn config(&self, round: usize) -> Config {
        let config = match round % 2 {
            0 => Config::off(),
            _ => Config::off().with_sink("prometheus", scraping()),
        };
        let config = match round % 4 {
            0 => config,
            number => {
                let by = if number == 3 { Protocol::HttpProtobuf } else { Protocol::Grpc };
                let receiver = &self.cumulative[number - 1];
                config.with_sink("gateway", sink(receiver, by, Temporality::Cumulative, round))
            }
        };
        let temporality = [Temporality::Delta, Temporality::LowMemory][round / 3 % 2];
        let by = [Protocol::Grpc, Protocol::HttpProtobuf][round % 2];
        // Every third reload leaves it alone, where it is.
        let stage = round - round % 3;
        let delta = sink(&self.delta[stage % 2], by, temporality, stage);
        let flipped = match round / 5 % 2 {
            // By one protocol: two would be two endpoints, which do not take turns.
            0 => sink(&self.flipped[0], Protocol::Grpc, Temporality::Cumulative, round),
            _ => sink(&self.flipped[1], by, Temporality::Delta, round),
        };
        let config = config.with_sink("delta", delta).with_sink("flipped", flipped);
        shaped(config, changing(u32::try_from(round / 4).unwrap()))
    }
}

/// A sink that differs from all others by its header.
fn sink(receiver: &Receiver, by: Protocol, temporality: Temporality, round: usize) -> OtlpSink {
    let mut sink = OtlpSink { temporality, ..receiver.sink_by(by, OFTEN) };
    sink.receiver.headers.push(Header::parse("x-round", &round.to_string()).unwrap());
    sink
}

// === impl Account ===

impl Account {
    /// Totals say all of it.
    fn totals(&mut self, exports: &[Export], metric: &str) {
        for export in exports {
            if let Some(time) = points(export, metric).map(|point| point.time).max() {
                self.0.insert(time, export.total(metric));
            }
        }
    }

    /// Deltas say what came on top of what is known. Windows do not overlap, so what came before
    /// one is the newest that is known up to its start.
    fn delta(&mut self, export: &Export, metric: &str) {
        let start = points(export, metric).map(|point| point.start).min();
        let time = points(export, metric).map(|point| point.time).max();
        let (Some(start), Some(time)) = (start, time) else { return };
        let before = self.0.range(..=start).next_back().map_or(0.0, |(_, total)| *total);
        let total = before + export.total(metric);
        let known = self.0.insert(time, total);
        assert!(known.is_none_or(|known| known == total), "{metric}: {known:?} and {total}");
    }

    fn assert_rises_to(&self, recorded: f64) {
        let totals: Vec<f64> = self.0.values().copied().collect();
        assert!(totals.is_sorted(), "{totals:?}");
        assert_eq!(totals.last(), Some(&recorded));
    }
}

fn points<'a>(export: &Export, metric: &'a str) -> impl Iterator<Item = Point> + use<'a> {
    let prefix = format!("{metric} ");
    export.points().into_iter().filter(move |(it, _)| it.starts_with(&prefix)).map(|(_, it)| it)
}

/// A series that has the start that it had has not gone down; one that started again did so after
/// its last point.
fn assert_starts_are_told(exports: &[Export]) {
    let mut last: BTreeMap<String, Point> = BTreeMap::new();
    for export in exports {
        for (series, point) in export.points() {
            assert!(point.start < point.time, "{series}: {point:?}");
            let Some(before) = last.insert(series.clone(), point) else { continue };
            if point.start == before.start {
                assert!(before.value <= point.value, "{series}: {before:?} {point:?}");
                assert!(before.time <= point.time, "{series}: {before:?} {point:?}");
            } else {
                assert!(before.time <= point.start, "{series}: {before:?} {point:?}");
            }
        }
    }
}

/// No series tells the same time twice.
fn assert_windows_do_not_overlap(exports: &[Export]) {
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    for export in exports {
        for (series, point) in export.points() {
            assert!(point.start <= point.time, "{series}: {point:?}");
            let end = ends.insert(series.clone(), point.time).unwrap_or(point.start);
            assert!(end <= point.start, "{series}: told until {end}, then {point:?}");
        }
    }
}

/// In the order in which they were told, whichever receiver it was.
fn by_time(receivers: &[Receiver]) -> Vec<Export> {
    let mut all: Vec<Export> = receivers.iter().flat_map(Receiver::exports).collect();
    all.retain(|export| !export.points().is_empty());
    all.sort_by_key(|export| export.points().values().map(|it| it.time).max());
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_reloads_lose_nothing_double_nothing_and_tell_every_start() {
    let receivers = Receivers::start();
    let (pipeline, mut reloader, instruments) = started();
    // Starts one of the metrics again: buckets of another kind.
    let first = receivers.config(0);
    reloader.prepare(first).await.unwrap().commit().drain(PATIENCE).await;
    let program = Program::start(&instruments, 2);
    let (mut scrapes, mut rebuilds, mut swaps) = (BTreeMap::<&str, f64>::new(), 0, 0);
    for round in 1..=RELOADS {
        let prepared = reloader.prepare(receivers.config(round)).await.unwrap();
        let plan = prepared.plan().clone();
        rebuilds += usize::from(plan.generation() == GenerationChange::Rebuild);
        swaps += plan.sinks().filter(|(_, change)| *change == Change::Swap).count();
        let drained = prepared.commit().drain(PATIENCE).await;
        for (sink, outcome) in &drained.sinks {
            let in_order = match outcome {
                LastExport::Delivered { rejected, .. } => *rejected == 0,
                // Nothing is left unanswered.
                LastExport::HandedOver { points } => *points == 0,
                LastExport::Lost { .. } => false,
            };
            assert!(in_order, "reload {round}, {sink}: {outcome:?}");
        }
        if pipeline.running().metric_sinks().any(|(name, _)| *name == SinkName::new("prometheus")) {
            let page = text(&pipeline);
            for (metric, shown) in [("requests", "requests_total"), ("seconds", "seconds_count")] {
                let total = scraped(&page, shown);
                let before = scrapes.insert(metric, total).unwrap_or_default();
                assert!(before <= total, "reload {round}: {metric} went from {before} to {total}");
            }
        }
    }
    let recorded = program.stop();
    until_settled(&pipeline).await;
    let debug = pipeline.debug();
    assert_eq!(debug.reloads.committed, 1 + RELOADS as u64);
    assert_eq!((debug.last_exports.lost, debug.failed_collections), (0, 0));
    assert_eq!(debug.generations.current, 2 + rebuilds as u64);
    assert!(rebuilds >= RELOADS / 4 && swaps >= RELOADS, "{rebuilds} rebuilds, {swaps} swaps");
    for (sink, stats) in &debug.sinks {
        assert!(stats.items_dropped.is_empty(), "{sink}: {stats:?}");
        assert_eq!(stats.exports_failed, BTreeMap::new(), "{sink}");
    }

    // The last round of all has every sink.
    let last = receivers.config(RELOADS + 7);
    reloader.prepare(last).await.unwrap().commit().drain(PATIENCE).await;
    let page = text(&pipeline);
    assert_eq!(scraped(&page, "requests_total"), recorded);
    assert_eq!(scraped(&page, "seconds_count"), recorded);
    let report = reloader.shutdown(PATIENCE).await;
    assert_eq!(report.drained.lost(), 0, "{report:?}");

    for receiver in receivers.cumulative.iter().chain(&receivers.flipped[..1]) {
        let exports = receiver.exports();
        assert_starts_are_told(&exports);
        for metric in CONTINUOUS {
            let totals: Vec<f64> = exports.iter().map(|export| export.total(metric)).collect();
            assert!(totals.is_sorted(), "{metric} went down: {totals:?}");
        }
    }
    let [.., http] = &receivers.cumulative;
    assert_eq!(http.exports().last().unwrap().total("requests"), recorded);
    assert_eq!(http.exports().last().unwrap().total("seconds"), recorded);
    let deltas = by_time(&receivers.delta);
    assert_windows_do_not_overlap(&deltas);
    let [totals, later] = &receivers.flipped;
    for metric in CONTINUOUS {
        let sum: f64 = deltas.iter().map(|export| export.total(metric)).sum();
        assert_eq!(sum, recorded, "{metric}");
        let mut account = Account::default();
        account.totals(&totals.exports(), metric);
        later.exports().iter().for_each(|export| account.delta(export, metric));
        account.assert_rises_to(recorded);
    }
}
