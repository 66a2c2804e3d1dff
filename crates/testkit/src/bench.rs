//! What benches share: CPU time, comparisons within one run, and sections of `docs/benchmarks.md`.
//!
//! `make bench` gives every bench a folder to leave its section in and puts the sections together;
//! a bench that is run by itself prints its section.

use std::env;
use std::fmt::{self, Write as _};
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The variable that names the folder for sections.
pub const SECTIONS: &str = "PHAROS_BENCH_SECTIONS";

/// Rounds of a comparison: enough for a median that a busy neighbour does not move.
const ROUNDS: usize = 31;

/// A part of `docs/benchmarks.md`: a title, a sentence, and figures.
#[derive(Debug)]
pub struct Section {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    figures: Vec<[String; 3]>,
}

/// CPU times of two pieces of work, measured in turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The median time of the first.
    pub first: Duration,
    /// The median time of the second.
    pub second: Duration,
    /// The median of what the second took of the first's time in the same round.
    pub ratio: f64,
}

/// The CPU time that this thread has used.
#[must_use]
pub fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(used.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(used.tv_nsec.unsigned_abs())
}

/// The CPU time that another process has used, over its threads that still live.
///
/// # Errors
/// If there is no such process, or the kernel keeps no such times.
pub fn cpu_time_of(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        let Ok(times) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let on_cpu = times.split(' ').next().and_then(|time| time.parse::<u64>().ok());
        nanoseconds += on_cpu.ok_or(io::ErrorKind::InvalidData)?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The memory of another process that is resident, in bytes.
///
/// # Errors
/// If there is no such process.
pub fn resident_memory_of(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kilobytes.ok_or(io::ErrorKind::InvalidData)? * 1024)
}

/// The median CPU time that `work` takes on this thread, over rounds of `times` each.
pub fn measure(times: u32, mut work: impl FnMut()) -> Duration {
    median((0..ROUNDS).map(|_| round(times, &mut work)).collect())
}

/// Measures both in turns, `times` each in every round, so that what disturbs one disturbs the
/// other.
pub fn compare(times: u32, mut first: impl FnMut(), mut second: impl FnMut()) -> Comparison {
    round(times, &mut first);
    round(times, &mut second);
    let rounds = (0..ROUNDS).map(|_| (round(times, &mut first), round(times, &mut second)));
    let (firsts, seconds): (Vec<_>, Vec<_>) = rounds.unzip();
    let ratios = firsts
        .iter()
        .zip(&seconds)
        .map(|(first, second)| Duration::from_secs_f64(second.as_secs_f64() / first.as_secs_f64()));
    let ratio = median(ratios.collect()).as_secs_f64();
    Comparison { first: median(firsts), second: median(seconds), ratio }
}

fn round(times: u32, work: &mut impl FnMut()) -> Duration {
    let before = cpu_time();
    (0..times).for_each(|_| work());
    (cpu_time() - before) / times
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

// === impl Section ===

impl Section {
    /// A section without figures yet. The name is that of its file.
    #[must_use]
    pub fn new(name: &'static str, title: &'static str, about: &'static str) -> Self {
        Self { name, title, about, figures: Vec::new() }
    }

    /// Adds a figure, with the goal that it should meet, if there is one.
    pub fn figure(&mut self, what: &str, value: impl fmt::Display, goal: &str) {
        self.figures.push([what.to_owned(), value.to_string(), goal.to_owned()]);
    }

    /// Leaves it where `make bench` looks for it, or prints it.
    ///
    /// # Errors
    /// If it can neither be written nor printed.
    pub fn publish(&self) -> io::Result<()> {
        match env::var_os(SECTIONS) {
            Some(folder) => {
                let file = Path::new(&folder).join(self.name).with_extension("md");
                fs::write(file, self.to_string())
            }
            None => write!(io::stdout(), "{self}"),
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name: _, title, about, figures } = self;
        let mut rows = String::new();
        for [what, value, goal] in figures {
            writeln!(rows, "| {what} | {value} | {goal} |")?;
        }
        write!(f, "## {title}\n\n{about}\n\n| what | figure | goal |\n|---|---|---|\n{rows}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_a_table_under_its_title() {
        let mut section = Section::new("recording", "Recording", "CPU time.");
        section.figure("a counter", "12 ns", "at most 20 ns");
        assert_eq!(
            section.to_string(),
            "## Recording\n\nCPU time.\n\n| what | figure | goal |\n|---|---|---|\n\
             | a counter | 12 ns | at most 20 ns |\n"
        );
    }

    #[test]
    fn work_takes_cpu_time() {
        let before = cpu_time();
        let work = || std::hint::black_box((0..100_000_u64).fold(0, |sum, it| sum ^ it));
        while cpu_time() == before {
            work();
        }
    }
}
