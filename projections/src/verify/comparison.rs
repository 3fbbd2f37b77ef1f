//! Compares a live generation with one that was folded from the log again: rows, parked streams and skipped events.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Difference, Report};
use crate::checkpoint::{Checkpoint, Generation};
use crate::page::MAX_PAGE_BYTES;
use crate::parked::{self, ParkedStream};
use crate::query::{Query, Value};
use crate::read_models::ReadModels;
use crate::rebuild::RebuildError;
use crate::rows::Connection;

/// Rows compared at a time.
const PAGE: usize = 2000;

/// A row as it is stored, without its key.
#[derive(PartialEq, Eq)]
pub(super) struct StoredRow {
    document: Option<String>,
    /// In the order of the schema.
    columns: Vec<Value>,
}

impl ReadModels {
    /// Compares two generations that are at the same position.
    pub(super) async fn compare(
        &self,
        snapshot: &mut Connection<'_>,
        live: &Generation,
        scratch: &Generation,
        report: &mut Report,
    ) -> Result<(), RebuildError> {
        let mut reader = self.inner.store.reader().await?;
        let mut reader = reader.connection();
        let Checkpoint { projection, generation, .. } = live.checkpoint;
        let found = parked::of(snapshot, projection.name(), generation).await?;
        let expected = parked::of(&mut reader, projection.name(), scratch.checkpoint.generation).await?;
        report.compare_parked(&live.checkpoint, &found, &expected);
        report.compare_skipped(live, scratch);
        compare_rows(snapshot, &live.checkpoint, &mut reader, &scratch.checkpoint, report).await
    }
}

/// Compares the rows in the order of their keys, page by page.
async fn compare_rows(
    snapshot: &mut Connection<'_>,
    live: &Checkpoint,
    reader: &mut Connection<'_>,
    scratch: &Checkpoint,
    report: &mut Report,
) -> Result<(), RebuildError> {
    let mut after = String::new();
    loop {
        let expected = rows_after(reader, scratch, &after).await?;
        let found = rows_after(snapshot, live, &after).await?;
        // Compares up to the key at which both pages are complete.
        let until = [&expected, &found]
            .into_iter()
            .filter(|page| !page.is_last)
            .filter_map(|page| page.rows.last().map(|(key, _)| key.clone()))
            .min();
        let within = |key: &String| until.as_ref().is_none_or(|until| key <= until);
        let mut found: HashMap<String, StoredRow> =
            found.rows.into_iter().filter(|(key, _)| within(key)).collect();
        for (key, expected) in expected.rows.into_iter().filter(|(key, _)| within(key)) {
            report.rows += 1;
            let found = found.remove(&key);
            if found.as_ref() != Some(&expected) {
                report.differ(live, key, found, Some(expected));
            }
        }
        for (key, row) in found {
            report.rows += 1;
            report.differ(live, key, Some(row), None);
        }
        match until {
            Some(until) => after = until,
            None => return Ok(()),
        }
    }
}

/// Rows in the order of their keys, bounded in number and in bytes. There is at least one, unless it is the last page.
struct Page {
    rows: Vec<(String, StoredRow)>,
    is_last: bool,
}

async fn rows_after(
    connection: &mut Connection<'_>,
    of: &Checkpoint,
    after: &str,
) -> Result<Page, RebuildError> {
    let columns: Vec<&str> = of.projection.schema().columns.iter().map(|column| column.name).collect();
    let selected = ["key", "octet_length(document) as bytes"].iter().chain(&columns).copied();
    let selected = selected.collect::<Vec<_>>().join(", ");
    let query = Query::new(&format!("select {selected} from {{rows}} where key > "))
        .bind(after)
        .push(" order by key limit ")
        .bind_count(PAGE)
        .documents("key", &columns);
    let found = connection.query(&query.of_table(&of.table())).await?;
    let mut page = Page { rows: Vec::with_capacity(found.len()), is_last: found.len() < PAGE };
    for row in found {
        let mut row = row.into_iter();
        let document = row.next().and_then(Value::into_text);
        let Some(key) = row.next().and_then(Value::into_text) else { continue };
        if document.is_none() && !page.rows.is_empty() {
            page.is_last = false;
            break;
        }
        page.rows.push((key, StoredRow { document, columns: row.collect() }));
    }
    Ok(page)
}

impl Report {
    fn differ(&mut self, of: &Checkpoint, key: String, live: Option<StoredRow>, expected: Option<StoredRow>) {
        let has_lapsed = |row: &StoredRow| {
            row.document.as_ref().is_some_and(|document| of.projection.has_lapsed(document, self.at))
        };
        if live.iter().chain(&expected).all(has_lapsed) {
            return;
        }
        let columns = match (&live, &expected) {
            (Some(live), Some(expected)) if live.document == expected.document => {
                column_differences(of, live, expected)
            }
            _ => Vec::new(),
        };
        let document = |row: Option<StoredRow>| row.and_then(|row| row.document);
        let (live, expected) = (document(live), document(expected));
        let projection = of.projection.name();
        let difference = Difference { projection, key, live, expected, columns };
        let bytes: usize = self.differences.iter().chain([&difference]).map(Difference::bytes).sum();
        if self.differences.is_empty() || bytes <= MAX_PAGE_BYTES {
            super::report(&mut self.differences, difference);
        }
    }

    fn compare_parked(&mut self, of: &Checkpoint, found: &[ParkedStream], expected: &[ParkedStream]) {
        let name = of.projection.name();
        let place = |parked: &ParkedStream| (parked.stream.clone(), parked.position);
        let places = |all: &[ParkedStream]| all.iter().map(place).collect::<HashSet<_>>();
        let (found_at, expected_at) = (places(found), places(expected));
        for (stream, position) in found.iter().map(place).filter(|place| !expected_at.contains(place)) {
            let fault = format!("{name} has parked {stream} at position {position}, which can be applied");
            super::report(&mut self.parking_faults, fault);
        }
        for parked in expected.iter().filter(|parked| !found_at.contains(&place(parked))) {
            let ParkedStream { stream, position, error } = parked;
            let fault = format!("{name} has not parked {stream} at position {position}: {error}");
            super::report(&mut self.parking_faults, fault);
        }
    }

    /// The scratch generation was created with the skips that the log has.
    fn compare_skipped(&mut self, live: &Generation, scratch: &Generation) {
        let name = live.checkpoint.projection.name();
        let without =
            |all: &BTreeSet<_>, others: &BTreeSet<_>| all.difference(others).copied().collect::<Vec<_>>();
        for position in without(&live.skipped, &scratch.skipped) {
            let fault = format!("{name} skips the event at position {position}, which nobody decided");
            super::report(&mut self.parking_faults, fault);
        }
        for position in without(&scratch.skipped, &live.skipped) {
            let fault = format!("{name} does not skip the event at position {position}, as was decided");
            super::report(&mut self.parking_faults, fault);
        }
    }
}

fn column_differences(of: &Checkpoint, live: &StoredRow, expected: &StoredRow) -> Vec<String> {
    let shown = |value: &Value| match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Null => "null".to_owned(),
    };
    let columns = of.projection.schema().columns.iter();
    columns
        .zip(live.columns.iter().zip(&expected.columns))
        .filter(|(_, (live, expected))| live != expected)
        .map(|(column, (live, expected))| {
            format!("{} is {} instead of {}", column.name, shown(live), shown(expected))
        })
        .collect()
}
