//! Markdown as generated pages need it.

use std::fmt;

/// A table.
pub(crate) struct Table<const COLUMNS: usize> {
    heads: &'static [&'static str; COLUMNS],
    rows: Vec<[String; COLUMNS]>,
}

// === impl Table ===

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(crate) fn new(heads: &'static [&'static str; COLUMNS]) -> Self {
        Self { heads, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells);
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.heads.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(COLUMNS))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.each_ref().map(|cell| cell.replace('|', "\\|")).join(" | "))?;
        }
        Ok(())
    }
}

/// The text as code; nothing for nothing.
pub(crate) fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

/// Items one after the other.
pub(crate) fn list(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().collect::<Vec<_>>().join(", ")
}
