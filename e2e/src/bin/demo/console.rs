//! What the person at the terminal sees: numbered steps, commands, their output, tables.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Standard output, in colour where somebody is there to see it.
pub(crate) struct Console {
    colour: bool,
    steps: Cell<usize>,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const CYAN: &str = "36";

// === impl Console ===

impl Console {
    pub(crate) fn of_standard_output() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: io::stdout().is_terminal() && !unwanted, steps: Cell::new(0) }
    }

    /// The title of the next step.
    pub(crate) fn step(&self, title: &str) {
        self.steps.set(self.steps.get() + 1);
        self.line(&format!("\n{}", self.paint(BOLD, &format!("{}. {title}", self.steps.get()))));
    }

    /// A command that is run now.
    pub(crate) fn command(&self, command: &str) {
        self.line(&format!("   {}", self.paint(CYAN, &format!("$ {command}"))));
    }

    /// What a command or a file says.
    pub(crate) fn output(&self, text: &str) {
        for line in text.trim_end().lines() {
            self.line(&self.paint(DIM, &format!("     {}", line.trim_end())));
        }
    }

    /// A sentence about what happens.
    pub(crate) fn say(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("   {line}"));
        }
    }

    /// A line of its own.
    pub(crate) fn note(&self, text: &str) {
        self.line(text);
    }

    /// What went wrong, on standard error.
    pub(crate) fn failure(&self, text: &str) {
        let _ = writeln!(io::stderr(), "\n{}", self.paint(RED, text));
    }

    /// Columns as wide as their content; all but the first are aligned to the right if they hold
    /// numbers.
    pub(crate) fn table<const N: usize>(&self, head: [&str; N], rows: &[[String; N]]) {
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([head[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: [usize; N] = std::array::from_fn(width);
        let line = |cells: [&str; N]| {
            let cells = cells.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            cells.collect::<Vec<_>>().join("   ")
        };
        self.line(&format!("   {}", self.paint(DIM, &line(head))));
        for row in rows {
            self.line(&format!("   {}", line(row.each_ref().map(String::as_str))));
        }
    }

    /// Nobody may be reading any more; what was started must still be ended.
    fn line(&self, text: &str) {
        let _ = writeln!(io::stdout(), "{text}");
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A duration as a person says it.
pub(crate) fn spoken(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ ..1_000 => format!("{millis} ms"),
        millis @ ..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        millis => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(spoken(Duration::from_millis(42)), "42 ms");
        assert_eq!(spoken(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(spoken(Duration::from_secs(61)), "1 min 1 s");
    }
}
