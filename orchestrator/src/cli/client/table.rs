//! Tables for people: as wide as the terminal, one line a row; a cell that does not fit is cut with an ellipsis.
//! Where the output is not a terminal nothing is cut, and nothing has a colour.

use std::io;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Row, presets};
use serde_json::Value;

use crate::cli::output::one_line;
use crate::telemetry::colours;

/// Columns that would be of no use if they were cut.
const UNCUT: [&str; 10] =
    ["id", "position", "version", "status", "event", "attempt", "time", "requested", "created", "updated"];

/// A table with a header row.
pub(in crate::cli) struct Table {
    table: comfy_table::Table,
    colours: bool,
}

impl Table {
    /// An empty one with these columns.
    pub(in crate::cli) fn new(columns: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        let mut head = Row::from(columns.iter().map(|name| name.to_uppercase()));
        head.max_height(1);
        table.load_preset(presets::NOTHING).set_header(head);
        // Between words, where comfy-table would break lines, most of a cell could be lost: they end where they are full.
        table.set_delimiter('\n').set_truncation_indicator("…");
        for (column, name) in table.column_iter_mut().zip(columns) {
            column.set_padding((0, 1));
            if UNCUT.contains(name) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        let width = table.width();
        let mut table = Self { table, colours: colours(&io::stdout()) };
        table.fit(width);
        table
    }

    /// Cuts what does not fit into this width. A terminal that does not know its size says 0.
    fn fit(&mut self, width: Option<u16>) {
        if let Some(width) = width.filter(|width| *width > 0) {
            self.table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
        }
    }

    /// Adds a row.
    pub(in crate::cli) fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        let mut row = Row::from(cells.into_iter().map(|cell| self.cell(cell)).collect::<Vec<Cell>>());
        row.max_height(1);
        self.table.add_row(row);
    }

    /// A cell; the name of a state has a colour.
    fn cell(&self, text: &str) -> Cell {
        let colour = match text {
            "Succeeded" | "Online" => Color::Green,
            "Failed" | "TimedOut" | "Offline" => Color::Red,
            "Running" | "Busy" => Color::Cyan,
            "Queued" => Color::Yellow,
            "Cancelled" => Color::DarkGrey,
            _ => return Cell::new(one_line(text)),
        };
        let cell = Cell::new(text);
        if self.colours { cell.fg(colour) } else { cell }
    }

    /// Prints the table; where it is empty, prints `nothing` on stderr instead.
    #[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
    pub(in crate::cli) fn print(&self, nothing: &str) -> io::Result<()> {
        use io::Write as _;

        if self.table.row_count() == 0 {
            eprintln!("{nothing}");
            return Ok(());
        }
        let mut out = io::stdout().lock();
        for line in self.lines() {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        self.table.lines().map(|line| line.trim_end().to_owned())
    }
}

/// A time of an answer, to the second, or a dash where it has none.
pub(in crate::cli) fn time(answer: &Value) -> String {
    let seconds = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    parse(answer).map_or_else(|| "-".to_owned(), seconds)
}

/// How long it was from one time of an answer to another, to the second if it was longer than a few; a dash where one
/// of them is missing.
pub(in crate::cli) fn time_between(from: &Value, to: &Value) -> String {
    let (Some(from), Some(to)) = (parse(from), parse(to)) else { return "-".to_owned() };
    let millis = (to - from).num_milliseconds().max(0).unsigned_abs();
    let shown = if millis < 10_000 { millis } else { millis - millis % 1_000 };
    humantime::format_duration(Duration::from_millis(shown)).to_string()
}

fn parse(answer: &Value) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(answer.as_str()?).ok().map(|time| time.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_the_terminal_is_cut_by_the_letter() {
        let row = |width| {
            let mut table = Table::new(&["id", "reason"]);
            table.fit(Some(width));
            table.row(["01a222a7", "stage test: `make` exited with 3"]);
            table.lines().nth(1).unwrap()
        };
        assert_eq!(row(34), "01a222a7 stage test: `make` exit…");
        let whole = "01a222a7 stage test: `make` exited with 3";
        assert_eq!((row(80), row(0)), (whole.to_owned(), whole.to_owned()));
    }
}
