//! Kyverno and Pharos in turns: every combination without pauses, and at one rate.

use std::io::{Write as _, stderr};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use pharos_testkit::bench::{Section, Table, resident_memory_of};

use crate::engine::{Engine, Place, Telemetry};
use crate::figures::{Figures, Round, are_enough, milliseconds, ratio};
use crate::load::{Caller, Connections, Pace};
use crate::reviews::{self, Policy};

/// Rounds in turns, each of a load without pauses, at least.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);
const WARM_UP: Duration = Duration::from_secs(1);
/// What both are asked for percentiles; Kyverno keeps up with it under all policies.
const RATE: u32 = 100;
const PACED_ROUNDS: usize = 3;
const PACED_ROUND: Duration = Duration::from_secs(3);

/// What both are measured under.
pub(crate) struct Setting<'s> {
    pub(crate) policies: &'s [Policy],
    pub(crate) telemetry: Telemetry,
}

/// The tables that combinations end up in.
pub(crate) struct Tables {
    pub(crate) unpaced: Table,
    pub(crate) paced: Table,
    pub(crate) ratios: Table,
}

/// One combination.
struct Combination<'c> {
    policies: usize,
    telemetry: Telemetry,
    size: &'c str,
    connections: Connections,
}

/// Measures both under these policies.
pub(crate) async fn measure(
    theirs: &Place,
    ours: &Place,
    dir: &Path,
    Setting { policies, telemetry }: Setting<'_>,
    tables: &mut Tables,
) -> anyhow::Result<()> {
    let kyverno = theirs.kyverno(dir, telemetry, policies).await?;
    let pharos = ours.pharos(telemetry, policies).await?;
    let engines = [kyverno, pharos];
    for (size, review) in [("2 KB", reviews::small()), ("60 KB", reviews::large())] {
        for connections in [Connections::KeptAlive, Connections::Churning] {
            let policies = policies.len();
            let combination = Combination { policies, telemetry, size, connections };
            unpaced(&engines, &review, &combination, tables).await?;
        }
    }
    paced(&engines, policies.len(), telemetry, tables).await?;
    let [kyverno, pharos] = engines;
    kyverno.end().await?;
    pharos.end().await
}

async fn unpaced(
    engines: &[Engine<'_>; 2],
    review: &Bytes,
    combination: &Combination<'_>,
    tables: &mut Tables,
) -> anyhow::Result<()> {
    let Combination { policies, telemetry, size, connections } = combination;
    let callers = callers(engines, *connections).await?;
    for caller in &callers {
        caller.call(review, Pace::Unpaced, WARM_UP).await?;
    }
    let rounds = turns(engines, &callers, review, Pace::Unpaced, (ROUNDS, ROUND)).await?;
    let what =
        [policies.to_string(), size.to_string(), connections.to_string(), telemetry.to_string()];
    let mut memory = Vec::new();
    for (engine, rounds) in engines.iter().zip(&rounds) {
        let resident = resident_memory_of(engine.pid)? as f64 / 1e6;
        let Figures { cpu, per_second, p50, p99, .. } = Figures::of(rounds)?;
        let cpu = format!("{:.3} ms", cpu.as_secs_f64() * 1e3);
        let rate = format!("{per_second:.0}");
        let figures =
            [cpu, rate, milliseconds(p50), milliseconds(p99), format!("{resident:.0} MB")];
        let row = what.iter().cloned().chain([engine.name.to_owned()]).chain(figures);
        tables.unpaced.row(row);
        memory.push(resident);
    }
    let [theirs, ours] = &rounds;
    let cpu = ratio(theirs, ours);
    writeln!(stderr(), "{}: {cpu:.1} times the CPU of Pharos", what.join(", "))?;
    let memory = memory[0] / memory[1];
    let goal = if *policies == 1 { "10; 5" } else { "15; 5" };
    let ratios = [format!("{cpu:.1}"), format!("{memory:.1}"), goal.to_owned()];
    tables.ratios.row(what.into_iter().chain(ratios));
    Ok(())
}

/// Percentiles at one rate that neither has trouble with.
async fn paced(
    engines: &[Engine<'_>; 2],
    policies: usize,
    telemetry: Telemetry,
    tables: &mut Tables,
) -> anyhow::Result<()> {
    let callers = callers(engines, Connections::KeptAlive).await?;
    let review = reviews::small();
    let pace = Pace::PerSecond(RATE);
    let rounds = turns(engines, &callers, &review, pace, (PACED_ROUNDS, PACED_ROUND)).await?;
    for (engine, rounds) in engines.iter().zip(&rounds) {
        let Figures { cpu, p50, p99, samples, .. } = Figures::of(rounds)?;
        let cpu = format!("{:.3} ms", cpu.as_secs_f64() * 1e3);
        let what = [policies.to_string(), telemetry.to_string(), engine.name.to_owned()];
        let figures = [cpu, milliseconds(p50), milliseconds(p99), samples.to_string()];
        tables.paced.row(what.into_iter().chain(figures));
    }
    Ok(())
}

async fn callers(engines: &[Engine<'_>; 2], how: Connections) -> anyhow::Result<[Caller; 2]> {
    let [theirs, ours] = engines;
    Ok([theirs.caller(how).await?, ours.caller(how).await?])
}

async fn turns(
    engines: &[Engine<'_>; 2],
    callers: &[Caller; 2],
    review: &Bytes,
    pace: Pace,
    (rounds, lasting): (usize, Duration),
) -> anyhow::Result<[Vec<Round>; 2]> {
    let mut all: [Vec<Round>; 2] = [Vec::new(), Vec::new()];
    // Slow ones take more rounds until they are enough for percentiles.
    while all.iter().any(|all| all.len() < rounds || !are_enough(all)) {
        for ((engine, caller), all) in engines.iter().zip(callers).zip(&mut all) {
            all.push(Round::of(engine.pid, caller, review, pace, lasting).await?);
        }
    }
    Ok(all)
}

// === impl Tables ===

impl Tables {
    pub(crate) fn new() -> Self {
        let what = ["policies", "object", "connections", "telemetry"];
        let of_engine = ["engine", "CPU per review", "reviews/s", "p50", "p99", "RSS"];
        let ratios = ["CPU of Kyverno to Pharos", "RSS of Kyverno to Pharos", "goals: at least"];
        Self {
            unpaced: Table::new(what.into_iter().chain(of_engine)),
            ratios: Table::new(what.into_iter().chain(ratios)),
            paced: Table::new([
                "policies",
                "telemetry",
                "engine",
                "CPU per review",
                "p50",
                "p99",
                "reviews",
            ]),
        }
    }

    /// Puts them under what they show.
    pub(crate) fn publish(self, section: &mut Section) {
        section.table("In turns, without pauses between reviews", self.unpaced);
        section.table("What Kyverno needed of what Pharos needed in the same round", self.ratios);
        let title = format!(
            "In turns, {RATE} reviews of 2 KB in a second (goal: p99 of Pharos below p50 of Kyverno)"
        );
        section.table(&title, self.paced);
    }
}
