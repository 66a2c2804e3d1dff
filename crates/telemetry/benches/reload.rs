//! From `prepare` to the first export at the new endpoint, in this process: while the old endpoint
//! answers, and while it is a black hole, in turns. It is wall time, receiver included.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark may fail anywhere")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use pharos_telemetry::{Config, OtlpSink, Pipeline, Reloader};
use pharos_testkit::bench::Section;
use support::program::{Instruments, started};
use support::{PATIENCE, Receiver, commit};

const SAMPLES: usize = 300;
const NEVER: Duration = Duration::from_secs(3600);

struct Stage {
    pipeline: Pipeline,
    reloader: Reloader,
    instruments: Instruments,
    recorded: u64,
}

/// What a sample begins with.
#[derive(Clone, Copy, Debug)]
enum Old {
    Healthy,
    BlackHole,
}

// === impl Stage ===

impl Stage {
    fn start() -> Self {
        let (pipeline, reloader, instruments) = started();
        Self { pipeline, reloader, instruments, recorded: 0 }
    }

    /// How long it takes from `old` to an export at `new`.
    async fn sample(&mut self, kind: Old, old: &Receiver, new: &Receiver) -> Duration {
        let connections = old.connections();
        let sink = |receiver: &Receiver| config(receiver.patient(NEVER, NEVER));
        commit(&mut self.reloader, sink(old)).await.in_force().await;
        match kind {
            Old::Healthy => old.until("an export", |all| !all.is_empty()).await,
            Old::BlackHole => old.until_connections(connections + 1).await,
        }
        self.recorded += 1;
        self.instruments.record(1, self.recorded);

        let began = Instant::now();
        let retired = commit(&mut self.reloader, sink(new)).await;
        new.until("the first export", |all| !all.is_empty()).await;
        let took = began.elapsed();
        assert_eq!(new.exports()[0].total("requests"), self.recorded as f64);
        retired.drain(Duration::ZERO).await;
        commit(&mut self.reloader, Config::off()).await.drain(PATIENCE).await;
        old.forget();
        new.forget();
        took
    }
}

fn config(sink: OtlpSink) -> Config {
    Config::off().with_sink("gateway", sink)
}

/// The value that this part of all does not exceed, in milliseconds.
fn quantile(sorted: &[Duration], part: f64) -> f64 {
    let place = (sorted.len() as f64 * part) as usize;
    sorted[place.min(sorted.len() - 1)].as_secs_f64() * 1000.0
}

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut healthy, mut holed) = runtime.block_on(async {
        let (old, hole, new) = (Receiver::start(), Receiver::start(), Receiver::start());
        hole.swallows_connections(true);
        let mut stage = Stage::start();
        stage.sample(Old::Healthy, &old, &new).await;
        let (mut healthy, mut holed) = (Vec::new(), Vec::new());
        for _ in 0..SAMPLES {
            healthy.push(stage.sample(Old::Healthy, &old, &new).await);
            holed.push(stage.sample(Old::BlackHole, &hole, &new).await);
        }
        assert_eq!(stage.pipeline.debug().reloads.refused, 0);
        stage.reloader.shutdown(Duration::ZERO).await;
        (healthy, holed)
    });
    healthy.sort_unstable();
    holed.sort_unstable();
    let mut section = Section::new(
        "reload",
        "From a reload to the first export",
        "Wall time from `prepare` to the first export at the new endpoint, by gRPC, in one process \
         with the receivers; 300 samples each, in turns.",
    );
    let shown = |milliseconds: f64| format!("{milliseconds:.2} ms");
    let (p50, p99) = (quantile(&healthy, 0.5), quantile(&healthy, 0.99));
    section.figure("old endpoint healthy, p50", shown(p50), "2 ms");
    section.figure("old endpoint healthy, p99", shown(p99), "20 ms");
    let hole = quantile(&holed, 0.5);
    section.figure("old endpoint a black hole, p50", shown(hole), "");
    section.figure("old endpoint a black hole, p99", shown(quantile(&holed, 0.99)), "");
    section.figure("ratio of both p50", format!("{:.2}", hole / p50), "at most 2");
    section.publish()?;
    assert!(hole / p50 <= 2.0, "a black hole delays exports elsewhere: {hole} ms, not {p50} ms");
    Ok(())
}
