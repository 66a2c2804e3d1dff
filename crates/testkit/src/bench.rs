//! What benches share: CPU time, comparisons within one run, and sections of `docs/benchmarks.md`.
//!
//! `make bench` gives every bench a folder to leave its section in and puts the sections together;
//! a bench that is run by itself prints its section.

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use nix::time::ClockId;
use nix::unistd::Pid;

/// The variable that names the folder for sections.
pub const SECTIONS: &str = "PHAROS_BENCH_SECTIONS";

/// Rounds of a comparison: enough for a median that a busy neighbour does not move.
const ROUNDS: usize = 31;

/// A part of `docs/benchmarks.md`: a title, a sentence, figures, and tables of more than one figure
/// in a row.
#[derive(Debug)]
pub struct Section {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    figures: Vec<[String; 3]>,
    tables: Vec<(String, Table)>,
}

/// Rows of figures under columns of their own.
#[derive(Debug)]
pub struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
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
    // Only a kernel without that clock would fail.
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().map(Duration::from).unwrap_or_default()
}

/// The CPU time that another process has used, over all threads that it has and had, and in the kernel
/// for them.
///
/// # Errors
/// If there is no such process, or its clock may not be read.
pub fn cpu_time_of(pid: u32) -> io::Result<Duration> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    let used = ClockId::pid_cpu_clock_id(Pid::from_raw(pid))?.now()?;
    Ok(used.into())
}

/// The memory of another process that is resident, in bytes.
///
/// # Errors
/// If there is no such process.
pub fn resident_memory_of(pid: u32) -> io::Result<u64> {
    memory_of(pid, "VmRSS:")
}

/// The most memory of another process that was resident at any time so far, in bytes.
///
/// # Errors
/// If there is no such process.
pub fn peak_memory_of(pid: u32) -> io::Result<u64> {
    memory_of(pid, "VmHWM:")
}

fn memory_of(pid: u32, field: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
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
        Self { name, title, about, figures: Vec::new(), tables: Vec::new() }
    }

    /// Adds a figure, with the goal that it should meet, if there is one.
    pub fn figure(&mut self, what: &str, value: impl fmt::Display, goal: &str) {
        self.figures.push([what.to_owned(), value.to_string(), goal.to_owned()]);
    }

    /// Adds a table under a title of its own.
    pub fn table(&mut self, title: &str, table: Table) {
        self.tables.push((title.to_owned(), table));
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
        let Self { name: _, title, about, figures, tables } = self;
        let mut summary = Table::new(["what", "figure", "goal"]);
        figures.iter().for_each(|figure| summary.row(figure.clone()));
        write!(f, "## {title}\n\n{about}\n\n{summary}")?;
        tables.iter().try_for_each(|(title, table)| write!(f, "\n{title}:\n\n{table}"))
    }
}

// === impl Table ===

impl Table {
    /// A table without rows yet.
    #[must_use]
    pub fn new(columns: impl IntoIterator<Item = &'static str>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { columns, rows } = self;
        writeln!(f, "| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()))?;
        rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
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
        let mut table = Table::new(["engine", "p50"]);
        table.row(["pharos", "1 ms"].map(str::to_owned));
        section.table("By engine", table);
        let text = section.to_string();
        let end = "\n\nBy engine:\n\n| engine | p50 |\n|---|---|\n| pharos | 1 ms |\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn a_process_has_used_what_its_threads_have() {
        let used = cpu_time();
        let pid = std::process::id();
        assert!(cpu_time_of(pid).unwrap() >= used);
        let resident = resident_memory_of(pid).unwrap();
        assert!(resident > 0);
        assert!(peak_memory_of(pid).unwrap() >= resident);
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
