use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message as _;

use crate::carry::Era;
use crate::carry::fixture::{World, recorded, sample, shape};
use crate::instrument::InstrumentKind;
use crate::outcome::ExportOutcome;

use super::*;

/// Totals of a counter at different times.
struct Counter(Arc<Era>);

impl Counter {
    fn new() -> Self {
        Self(Era::first(Arc::new(World::one(shape(InstrumentKind::Counter))), 1))
    }

    fn at(&self, time: u64, total: i64) -> Arc<Snapshot> {
        let shape = shape(InstrumentKind::Counter);
        let totals = vec![recorded("m", &shape, &[sample("x", "1", total)], (1, time))];
        Arc::new(Snapshot::of(time, time, totals, Arc::clone(&self.0)))
    }
}

/// Start, time and value of the only point, if there is one.
fn told(request: &Request) -> Option<(u64, u64, i64)> {
    let request = ExportMetricsServiceRequest::decode(request.body.clone()).unwrap();
    let scope = request.resource_metrics.into_iter().flat_map(|it| it.scope_metrics).next()?;
    let Some(Data::Sum(sum)) = &scope.metrics[0].data else { panic!() };
    let point = &sum.data_points[0];
    let Some(Value::AsInt(value)) = point.value else { panic!() };
    Some((point.start_time_unix_nano, point.time_unix_nano, value))
}

fn ambiguous() -> ExportOutcome {
    ExportOutcome::Ambiguous { why: String::new() }
}

fn unreachable() -> ExportOutcome {
    ExportOutcome::Unreachable { why: String::new() }
}

/// So many requests are done with, and then this.
fn came_of_it(ledger: &Ledger, settled: usize, outcome: ExportOutcome) {
    ledger.settle(&Exported { outcome, accepted: 0, refused: Vec::new(), missing: 0, settled });
}

fn requests(ledger: &Ledger, now: &Arc<Snapshot>) -> Vec<Request> {
    ledger.requests(now, Temporality::Delta, &Resource::default())
}

#[test]
fn each_window_begins_where_the_one_before_ended() {
    let (ledger, counter) = (Ledger::default(), Counter::new());
    let mut sent = Vec::new();
    for (time, total) in [(10, 5), (20, 5), (30, 7)] {
        let requests = requests(&ledger, &counter.at(time, total));
        assert_eq!(requests.len(), 1);
        sent.push(told(&requests[0]));
        came_of_it(&ledger, 1, ExportOutcome::Accepted);
    }
    assert_eq!(sent, [Some((1, 10, 5)), None, Some((20, 30, 2))]);
}

#[test]
fn what_did_not_arrive_becomes_part_of_a_longer_window() {
    let (ledger, counter) = (Ledger::default(), Counter::new());
    requests(&ledger, &counter.at(10, 5));
    came_of_it(&ledger, 0, unreachable());
    assert_eq!(ledger.pending(), 0);
    let [longer] = requests(&ledger, &counter.at(20, 8)).try_into().unwrap();
    assert_eq!(told(&longer), Some((1, 20, 8)));
}

#[test]
fn what_may_have_arrived_is_sent_again_as_it_was_before_anything_newer() {
    let (ledger, counter) = (Ledger::default(), Counter::new());
    let first = requests(&ledger, &counter.at(10, 5));
    came_of_it(&ledger, 0, ambiguous());
    assert_eq!(ledger.pending(), 1);
    // Not reachable any more: what may have arrived before still may have.
    for outcome in [unreachable(), ambiguous(), unreachable()] {
        let [again, newer] = requests(&ledger, &counter.at(20, 8)).try_into().unwrap();
        assert_eq!(again, first[0]);
        assert_eq!(told(&newer), Some((10, 20, 3)));
        came_of_it(&ledger, 0, outcome);
    }
    requests(&ledger, &counter.at(30, 9));
    came_of_it(&ledger, 2, ExportOutcome::Accepted);
    let [next] = requests(&ledger, &counter.at(40, 10)).try_into().unwrap();
    assert_eq!(told(&next), Some((30, 40, 1)));
}

#[test]
fn a_window_that_arrived_in_part_is_kept_for_the_rest_of_it() {
    let (ledger, counter) = (Ledger::default(), Counter::new());
    let until = counter.at(10, 5);
    let parts: VecDeque<_> = (0..3).map(|_| Request::probe(Signal::Metrics)).collect();
    let window = || Window { until: Arc::clone(&until), requests: parts.clone(), fate: Fate::Open };
    ledger.lock().windows.push_back(window());
    came_of_it(&ledger, 1, unreachable());
    let now = counter.at(20, 8);
    let rest = requests(&ledger, &now);
    assert_eq!(rest.len(), 3, "two of the window before, and a new one");
    assert_eq!(told(&rest[2]), Some((10, 20, 3)));
    came_of_it(&ledger, 2, unreachable());
    let [next] = requests(&ledger, &now).try_into().unwrap();
    assert_eq!(told(&next), Some((10, 20, 3)));
}

#[test]
fn totals_that_arrived_make_windows_before_them_obsolete() {
    let (ledger, counter) = (Ledger::default(), Counter::new());
    requests(&ledger, &counter.at(10, 5));
    came_of_it(&ledger, 0, ambiguous());
    ledger.acknowledge(&counter.at(20, 8));
    // The answer to what was under way until then comes late.
    came_of_it(&ledger, 1, ExportOutcome::Accepted);
    ledger.acknowledge(&counter.at(15, 6));
    let [next] = requests(&ledger, &counter.at(30, 9)).try_into().unwrap();
    assert_eq!(told(&next), Some((20, 30, 1)));
}

#[test]
fn a_snapshot_older_than_what_the_receiver_has_is_no_news() {
    let (ledger, counter) = (Ledger::default(), Counter::new());
    ledger.acknowledge(&counter.at(20, 8));
    let [probe] = requests(&ledger, &counter.at(10, 5)).try_into().unwrap();
    assert_eq!(probe, Request::probe(Signal::Metrics));
    came_of_it(&ledger, 1, ExportOutcome::Accepted);
    let [next] = requests(&ledger, &counter.at(30, 9)).try_into().unwrap();
    assert_eq!(told(&next), Some((20, 30, 1)));
}
