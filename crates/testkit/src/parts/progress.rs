//! Progress of the build, for a person at a terminal or for a log.
//!
//! A terminal gets one line that is rewritten, a log gets a line now and then. Nothing is shown
//! when nothing is built.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Back to the start of the line, which is erased.
const REWRITE: &str = "\r\x1b[2K";
const LOG_INTERVAL: Duration = Duration::from_secs(15);

pub(super) struct Progress {
    terminal: bool,
    started: Instant,
    step: String,
    step_started: Instant,
    shown: Option<Instant>,
}

// === impl Progress ===

impl Progress {
    pub(super) fn start() -> Self {
        let now = Instant::now();
        let terminal = io::stderr().is_terminal();
        Self { terminal, started: now, step: String::new(), step_started: now, shown: None }
    }

    /// Begins a step and shows it.
    pub(super) fn step(&mut self, step: String) {
        self.step = step;
        self.step_started = Instant::now();
        self.shown = None;
        self.tick();
    }

    /// To be called often; shows something when it is time.
    pub(super) fn tick(&mut self) {
        let due = if self.terminal { Duration::ZERO } else { LOG_INTERVAL };
        if self.shown.is_some_and(|shown| shown.elapsed() < due) {
            return;
        }
        self.shown = Some(Instant::now());
        let (step, all) = (clock(self.step_started.elapsed()), clock(self.started.elapsed()));
        let (start, end) = if self.terminal { (REWRITE, "") } else { ("", "\n") };
        show(&format!("{start}  {}: {step} ({all} in all){end}", self.step));
    }

    /// Ends the step.
    pub(super) fn built(&mut self, bytes: u64) {
        let took = clock(self.step_started.elapsed());
        self.line(&format!("{}: {} MB, built in {took}", self.step, bytes >> 20));
    }

    pub(super) fn finish(&self, parts: usize) {
        let took = clock(self.started.elapsed());
        self.line(&match parts {
            0 => format!("another build left nothing to do ({took})"),
            1 => format!("1 part built in {took}, kept for all clones"),
            _ => format!("{parts} parts built in {took}, kept for all clones"),
        });
    }

    fn line(&self, text: &str) {
        let start = if self.terminal { REWRITE } else { "" };
        show(&format!("{start}  {text}\n"));
    }
}

/// Nobody may be reading; the build goes on.
fn show(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds / 60 {
        0 => format!("{seconds} s"),
        minutes => format!("{minutes} min {:02} s", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_well() {
        assert_eq!(clock(Duration::from_millis(4_900)), "4 s");
        assert_eq!(clock(Duration::from_secs(245)), "4 min 05 s");
    }
}
