//! What rounds of calls come to.

use std::time::Duration;

use anyhow::ensure;
use pharos_testkit::bench::cpu_time_of;

use crate::load::{Caller, Pace, Sample};
use bytes::Bytes;

/// A 99th percentile of fewer is none.
const SAMPLES: usize = 200;

/// What an engine needed in one round.
pub(crate) struct Round {
    /// CPU time of its process for each review.
    pub(crate) cpu: Duration,
    sample: Sample,
}

/// What an engine needed over all rounds.
pub(crate) struct Figures {
    /// CPU time for each review, the median of the rounds.
    pub(crate) cpu: Duration,
    /// Reviews in a second, the median of the rounds.
    pub(crate) per_second: f64,
    /// Percentiles over the reviews of all rounds.
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// How many reviews these are of.
    pub(crate) samples: usize,
}

/// The median. Not for empty lists.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median of what one thing was to another in the same round.
pub(crate) fn ratio(of: &[Round], to: &[Round]) -> f64 {
    median(of.iter().zip(to).map(|(of, to)| of.cpu.as_secs_f64() / to.cpu.as_secs_f64()).collect())
}

/// Whether these rounds have reviews enough for percentiles.
pub(crate) fn are_enough(rounds: &[Round]) -> bool {
    rounds.iter().map(|round| round.sample.latencies.len()).sum::<usize>() >= SAMPLES
}

/// Milliseconds, as tables show them.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

// === impl Round ===

impl Round {
    /// Calls the engine with that process id.
    pub(crate) async fn of(
        pid: u32,
        caller: &Caller,
        review: &Bytes,
        pace: Pace,
        lasting: Duration,
    ) -> anyhow::Result<Self> {
        let before = cpu_time_of(pid)?;
        let sample = caller.call(review, pace, lasting).await?;
        let cpu = cpu_time_of(pid)?.saturating_sub(before);
        let reviews = u32::try_from(sample.latencies.len())?;
        ensure!(reviews > 0, "no review in {lasting:?}");
        Ok(Self { cpu: cpu / reviews, sample })
    }

    /// The percentile of this round alone.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        percentile(&mut self.sample.latencies.clone(), percent)
    }
}

// === impl Figures ===

impl Figures {
    pub(crate) fn of(rounds: &[Round]) -> anyhow::Result<Self> {
        let mut latencies: Vec<_> =
            rounds.iter().flat_map(|round| &round.sample.latencies).copied().collect();
        let samples = latencies.len();
        ensure!(samples >= SAMPLES, "{samples} reviews are too few");
        let rate = |round: &Round| {
            round.sample.latencies.len() as f64 / round.sample.elapsed.as_secs_f64()
        };
        let cpu = median(rounds.iter().map(|round| round.cpu.as_secs_f64()).collect());
        Ok(Self {
            cpu: Duration::from_secs_f64(cpu),
            per_second: median(rounds.iter().map(rate).collect()),
            p50: percentile(&mut latencies, 50),
            p99: percentile(&mut latencies, 99),
            samples,
        })
    }
}

fn percentile(latencies: &mut [Duration], percent: usize) -> Duration {
    latencies.sort_unstable();
    latencies[(latencies.len() * percent).div_ceil(100) - 1]
}
