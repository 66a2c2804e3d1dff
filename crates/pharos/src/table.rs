//! Rows of text with their columns under each other. What others wrote stays in its cell: no control
//! character reaches the terminal.

/// Cells of text; the last column is as wide as it likes.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

/// What stands between two columns.
const GAP: usize = 3;
/// A cell without a value.
pub(crate) const NOTHING: &str = "-";

// === impl Table ===

impl Table {
    /// A table with these words over its columns.
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|word| (*word).to_owned()).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.iter().map(|cell| printable(cell)).collect());
    }

    /// Whether there is nothing under its head.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The table, every line behind `indent` and none with blanks at its end.
    pub(crate) fn text(&self, indent: &str) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let wide = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<_> = (0..columns).map(wide).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            for (cell, width) in row.iter().zip(&widths) {
                let cell = if cell.is_empty() { NOTHING } else { cell };
                line.push_str(cell);
                let missing = width.saturating_sub(cell.chars().count()) + GAP;
                line.extend(std::iter::repeat_n(' ', missing));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// The text with a space for every control character: whoever writes it can neither begin a line nor
/// command the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let mut table = Table::new(&["NAME", "STATE"]);
        assert!(table.is_empty());
        table.row(["a-long-name".to_owned(), String::new()]);
        table.row(["ä".to_owned(), "ok".to_owned()]);
        let expected = "  NAME          STATE\n  a-long-name   -\n  ä             ok\n";
        assert_eq!(table.text("  "), expected);
    }

    #[test]
    fn no_cell_begins_a_line_or_commands_the_terminal() {
        let mut table = Table::new(&["NAME", "STATE"]);
        table.row(["a\nb   forged\r".to_owned(), "\u{1b}[2Jok\u{9b}\u{7f}\t\0".to_owned()]);
        let expected = "NAME            STATE\na b   forged     [2Jok\n";
        assert_eq!(table.text(""), expected);
    }
}
