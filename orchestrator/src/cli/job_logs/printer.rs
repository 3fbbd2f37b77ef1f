//! Prints the entries of a log.

use std::io::{self, ErrorKind, Write};
use std::num::NonZeroU32;
use std::ops::Range;

use anstyle::{AnsiColor, Style};
use anyhow::bail;
use serde_json::Value;

use crate::cli::client::{Client, items, text};
use crate::cli::output::{last_written, printable, tell, write_json};
use crate::telemetry::colours;

/// Entries that are read at a time.
const PAGE: &str = "1000";

/// Prints entries, each of them once.
pub(super) struct Printer {
    json: bool,
    colours: bool,
    reader: Reader,
    /// Index of the last entry that was printed.
    pub(super) last: u64,
    /// Attempt and day of that entry, as they were printed.
    heading: String,
}

/// Who reads what is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// There is nothing to do without one.
    Needed,
    /// The entries are counted also without one.
    Optional,
    /// It has seen enough, and closed its end: nothing is printed any more.
    Gone,
}

impl Printer {
    /// One that has printed nothing yet, and fails once nobody reads what it prints.
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            colours: colours(&io::stdout()),
            reader: Reader::Needed,
            last: 0,
            heading: String::new(),
        }
    }

    /// As [`Self::new`], but it goes on without a reader.
    pub(super) fn outliving_its_reader(json: bool) -> Self {
        Self { reader: Reader::Optional, ..Self::new(json) }
    }

    /// Prints the next page, and says whether there was one.
    pub(super) async fn print_page(&mut self, client: &Client, job: &str) -> anyhow::Result<bool> {
        let after = self.last.to_string();
        let page = client.get(&["jobs", job, "logs"], &[("after", &after), ("limit", PAGE)]).await?;
        for entry in items(&page) {
            self.print(entry, entry["index"].as_u64())?;
        }
        if !items(&page).is_empty() && self.last.to_string() == after {
            bail!("the entries of the log have no index: this is an older server");
        }
        Ok(!items(&page).is_empty())
    }

    /// Prints so many entries at the end of the log.
    pub(super) async fn print_last(
        &mut self,
        client: &Client,
        job: &str,
        count: NonZeroU32,
    ) -> anyhow::Result<()> {
        let page = client.get(&["jobs", job, "logs"], &[("tail", &count.to_string())]).await?;
        for entry in items(&page) {
            self.print(entry, entry["index"].as_u64())?;
        }
        Ok(())
    }

    /// Prints an entry that has this index, unless it is printed already.
    pub(super) fn print(&mut self, entry: &Value, index: Option<u64>) -> io::Result<()> {
        if index.is_some_and(|index| index <= self.last) {
            return Ok(());
        }
        self.last = index.unwrap_or(self.last);
        if self.reader == Reader::Gone {
            return Ok(());
        }
        self.head(entry);
        match self.write(entry) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe && self.reader == Reader::Optional => {
                self.reader = Reader::Gone;
                Ok(())
            }
            written => written,
        }
    }

    /// Says on stderr of which attempt and day the next lines are, which have only a time.
    fn head(&mut self, entry: &Value) {
        let heading = format!("attempt {}, {}", entry["attempt"], timestamp(entry, 0..10));
        if !self.json && heading != self.heading {
            tell(&format!("-- {heading}"));
            self.heading = heading;
        }
    }

    fn write(&self, entry: &Value) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            return write_json(&mut out, entry);
        }
        let level = text(entry, "level");
        let style = if self.colours { style(level) } else { Style::new() };
        let time = timestamp(entry, 11..19);
        // An empty message is an empty line.
        for line in entry["message"].as_str().unwrap_or_default().trim_end().split('\n') {
            writeln!(out, "{time} {style}{level:<7}{style:#} {}", printable(last_written(line)))?;
        }
        out.flush()
    }
}

/// A part of the time of an entry.
fn timestamp(entry: &Value, part: Range<usize>) -> &str {
    entry["timestamp"].as_str().and_then(|time| time.get(part)).unwrap_or_default()
}

fn style(level: &str) -> Style {
    match level {
        "Error" => AnsiColor::Red.on_default(),
        "Warning" => AnsiColor::Yellow.on_default(),
        "Debug" => AnsiColor::BrightBlack.on_default(),
        _ => Style::new(),
    }
}
