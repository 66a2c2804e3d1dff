//! Generations that follow each other at random, record into each other's time, and are read at
//! random: whatever happens, nothing is lost, nothing doubled, and no series goes back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use fastrand::Rng;
use opentelemetry_proto::tonic::common::v1::KeyValue;

use crate::carry::fixture::{World, attribute, data, scope};
use crate::config::Temporality;
use crate::delta;
use crate::snapshot::Snapshot;

use super::*;

const STREAMS: [&str; 5] = ["counter", "updown", "explicit", "exponential", "observed"];
const VALUES: [&str; 4] = ["p", "q", "r", "s"];

/// The series of one stream, with what was recorded.
type Series = BTreeMap<String, (Vec<KeyValue>, Vec<i64>)>;

struct Generation {
    world: Arc<World>,
    era: Arc<Era>,
    series: BTreeMap<&'static str, Series>,
}

struct Pipeline {
    rng: Rng,
    /// How many generations back somebody records still.
    latest: usize,
    live: VecDeque<Generation>,
    base: Vec<ScopeMetrics>,
    clock: u64,
    recorded: BTreeMap<&'static str, i64>,
    /// What observers would tell, with both attributes.
    observed: BTreeMap<(&'static str, &'static str), i64>,
}

/// A receiver of deltas.
#[derive(Default)]
struct Receiver {
    has: Option<Snapshot>,
    sums: BTreeMap<&'static str, i64>,
}

/// The number of a point that never goes down, by stream, series and start.
type Seen = BTreeMap<(&'static str, String), (u64, i64)>;

// === impl Generation ===

impl Generation {
    fn record(&mut self, stream: &'static str, (a, b): (&'static str, &'static str), value: i64) {
        let shape = &self.world.streams[stream];
        let attributes = project(shape, (a, b));
        let series = self.series.entry(stream).or_default();
        let mut key = format!("{attributes:?}");
        let mut attributes = attributes;
        let plain = series.keys().filter(|it| !it.contains("overflow")).count();
        if !series.contains_key(&key) && plain + 1 >= shape.limit as usize {
            attributes = series::overflow();
            key = format!("{attributes:?}");
        }
        series.entry(key).or_insert_with(|| (attributes, Vec::new())).1.push(value);
    }

    fn collect(&self, observed: &BTreeMap<(&'static str, &'static str), i64>) -> Vec<ScopeMetrics> {
        let mut told = Series::new();
        for (of, value) in observed {
            let attributes = project(&self.world.streams["observed"], *of);
            let key = format!("{attributes:?}");
            told.entry(key).or_insert_with(|| (attributes, Vec::new())).1.push(*value);
        }
        let mut collected = Vec::new();
        for stream in STREAMS {
            let empty = Series::new();
            let series = if stream == "observed" {
                &told
            } else {
                self.series.get(stream).unwrap_or(&empty)
            };
            let series: Vec<_> = series.values().cloned().collect();
            if !series.is_empty() {
                let data = data(&self.world.streams[stream], &series, (u64::MAX, 0));
                collected.push(scope(stream, data));
            }
        }
        // All in one scope, as it is.
        let metrics = collected.drain(..).flat_map(|scope| scope.metrics).collect();
        let mut collected =
            vec![ScopeMetrics { metrics, ..scope("", Data::Gauge(Gauge::default())) }];
        self.era.stamp(&mut collected);
        collected
    }
}

fn project(shape: &StreamShape, (a, b): (&str, &str)) -> Vec<KeyValue> {
    let both = [("a", a), ("b", b)].into_iter();
    both.filter(|(key, _)| shape.keys.contains(key)).map(|(k, v)| attribute(k, v)).collect()
}

// === impl Pipeline ===

impl Pipeline {
    fn start(seed: u64) -> Self {
        let exponential = StreamAggregation::Exponential { max_size: 20, max_scale: 20 };
        let histogram = shape(InstrumentKind::Histogram);
        let streams = [
            ("counter", shape(InstrumentKind::Counter)),
            ("updown", shape(InstrumentKind::UpDownCounter)),
            ("explicit", histogram.clone()),
            ("exponential", StreamShape { aggregation: exponential, ..histogram }),
            ("observed", shape(InstrumentKind::ObservableCounter)),
        ];
        let streams = streams.map(|(name, shape)| (name, StreamShape { limit: 4, ..shape }));
        let world = Arc::new(World::of(streams));
        let era = Era::first(world.clone(), 1);
        let first = Generation { world, era, series: BTreeMap::new() };
        Self {
            rng: Rng::with_seed(seed),
            latest: 1 + seed as usize % 3,
            live: VecDeque::from([first]),
            base: Vec::new(),
            clock: 2,
            recorded: BTreeMap::new(),
            observed: BTreeMap::new(),
        }
    }

    fn record(&mut self) {
        let rng = &mut self.rng;
        let stream = *rng.choice(&STREAMS).unwrap();
        let of = (*rng.choice(&VALUES).unwrap(), *rng.choice(&VALUES).unwrap());
        let value =
            rng.i64(if stream == "updown" || stream == "exponential" { -300 } else { 0 }..300);
        *self.recorded.entry(stream).or_default() += match stream {
            "explicit" | "exponential" => 1,
            _ => value,
        };
        if stream == "observed" {
            *self.observed.entry(of).or_default() += value;
            return;
        }
        // Whoever holds an older generation still may record into it.
        let back = rng.usize(..self.live.len().min(self.latest + 1)) * rng.usize(..2);
        let into = self.live.len() - 1 - back;
        self.live[into].record(stream, of, value);
    }

    fn rebuild(&mut self) -> Snapshot {
        let mut world = World::clone(&self.live.back().unwrap().world);
        for shape in world.streams.values_mut() {
            let keys = ["a", "b"].into_iter().filter(|_| self.rng.u8(..3) > 0);
            shape.keys = Keys::new(keys.collect::<Vec<_>>());
            shape.limit += self.rng.u32(..2);
            match &mut shape.aggregation {
                StreamAggregation::Explicit(bounds) => bounds.retain(|_| self.rng.u8(..10) > 0),
                StreamAggregation::Exponential { max_size, max_scale } => {
                    *max_size = *self.rng.choice(&[2, 5, 20, 160]).unwrap();
                    *max_scale = self.rng.i8(-2..=20);
                }
                StreamAggregation::Sum | StreamAggregation::LastValue => {}
            }
        }
        self.clock += 1;
        let world = Arc::new(world);
        let era = self.live.back().unwrap().era.follow(world.clone(), self.clock);
        self.live.push_back(Generation { world, era, series: BTreeMap::new() });
        self.snapshot()
    }

    /// Whoever held the oldest generation has recorded.
    fn drain(&mut self) {
        if self.live.len() > 1 {
            let oldest = self.live.pop_front().unwrap();
            let mut totals = oldest.collect(&self.observed);
            merge(&mut totals, std::mem::take(&mut self.base), &*oldest.world);
            self.base = oldest.era.carry(totals).totals;
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        self.clock += 1;
        let mut totals = self.base.clone();
        for (place, generation) in self.live.iter().enumerate() {
            let mut collected = generation.collect(&self.observed);
            merge(&mut collected, totals, &*generation.world);
            totals = match place + 1 == self.live.len() {
                true => collected,
                false => generation.era.carry(collected).totals,
            };
        }
        let era = Arc::clone(&self.live.back().unwrap().era);
        Snapshot::of(self.clock, self.clock, totals, era)
    }
}

/// What the points of each stream counted.
fn points(scopes: &[ScopeMetrics]) -> Vec<(&'static str, String, (u64, u64), i64)> {
    let mut all = Vec::new();
    for stream in STREAMS {
        let mut add = |attributes: &[KeyValue], start, time, value| {
            all.push((stream, format!("{attributes:?}"), (start, time), value));
        };
        match sorted(scopes, stream) {
            Some(Data::Sum(sum)) => {
                for it in sum.data_points {
                    let Some(Value::AsInt(value)) = it.value else { panic!("{it:?}") };
                    add(&it.attributes, it.start_time_unix_nano, it.time_unix_nano, value);
                }
            }
            Some(Data::Histogram(histogram)) => {
                for it in histogram.data_points {
                    assert_eq!(it.bucket_counts.iter().sum::<u64>(), it.count);
                    let (start, time) = (it.start_time_unix_nano, it.time_unix_nano);
                    add(&it.attributes, start, time, it.count as i64);
                }
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                for it in histogram.data_points {
                    let sides = [it.positive.unwrap(), it.negative.unwrap()];
                    let counts = sides.iter().flat_map(|side| &side.bucket_counts);
                    assert_eq!(counts.sum::<u64>() + it.zero_count, it.count);
                    let (start, time) = (it.start_time_unix_nano, it.time_unix_nano);
                    add(&it.attributes, start, time, it.count as i64);
                }
            }
            other => assert_eq!(other, None),
        }
    }
    all
}

fn sums(scopes: &[ScopeMetrics]) -> BTreeMap<&'static str, i64> {
    let mut sums = BTreeMap::new();
    for (stream, _, _, value) in points(scopes) {
        *sums.entry(stream).or_default() += value;
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

/// Where nobody is later than one rebuild, its start does not go back either.
fn assert_no_series_goes_back(snapshot: &Snapshot, seen: &mut Seen, seed: u64) {
    for (stream, series, (start, time), value) in points(snapshot.scopes()) {
        assert!(start < time, "{seed}: {stream} {series} {start} {time}");
        if stream == "updown" {
            continue;
        }
        let before = seen.insert((stream, series.clone()), (start, value));
        if let Some(before) = before {
            assert!(
                before.0 < start
                    || before.1 <= value && (before.0 == start || !seed.is_multiple_of(3)),
                "{seed}: {stream} {series} went from {before:?} to {:?}",
                (start, value)
            );
        }
    }
}

// === impl Receiver ===

impl Receiver {
    fn take(&mut self, now: Snapshot, seed: u64) {
        let has = self.has.as_ref();
        for (stream, series, (start, time), value) in
            points(&delta::between(&now, has, Temporality::Delta))
        {
            if stream == "updown" {
                continue;
            }
            let from = has.map_or(0, Snapshot::time);
            assert!(from <= start && start < time, "{seed}: {stream} {series} {start} {time}");
            assert!(value >= 0, "{seed}: {stream} {series} {value}");
            *self.sums.entry(stream).or_default() += value;
        }
        let mut whole = sums(now.scopes());
        whole.remove("updown");
        self.sums.retain(|_, sum| *sum != 0);
        assert_eq!(self.sums, whole, "{seed}: what a receiver of deltas has");
        self.has = Some(now);
    }
}

#[test]
fn whatever_follows_on_what_nothing_is_lost_and_no_series_goes_back() {
    for seed in 0..200 {
        let mut pipeline = Pipeline::start(seed);
        let mut receivers: [Receiver; 2] = Default::default();
        let mut seen = Seen::new();
        for _ in 0..pipeline.rng.usize(50..400) {
            let snapshot = match pipeline.rng.u8(..40) {
                0 => pipeline.rebuild(),
                1 | 2 => {
                    pipeline.drain();
                    continue;
                }
                3..6 => pipeline.snapshot(),
                6 => {
                    let now = pipeline.snapshot();
                    let receiver = pipeline.rng.usize(..receivers.len());
                    receivers[receiver].take(now, seed);
                    continue;
                }
                _ => {
                    pipeline.record();
                    continue;
                }
            };
            pipeline.recorded.retain(|_, sum| *sum != 0);
            assert_eq!(sums(snapshot.scopes()), pipeline.recorded, "{seed}");
            assert_no_series_goes_back(&snapshot, &mut seen, seed);
        }
        for receiver in &mut receivers {
            receiver.take(pipeline.snapshot(), seed);
        }
    }
}
