//! Verifies the read models: folds the whole log again into scratch generations beside the live ones, and compares
//! them row by row, in the order of keys (I6). On the way it checks that the log together with its archive is dense
//! (I2, I3).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rivet_events::Position;
use serde::Serialize;

use crate::bulk::Events;
use crate::checkpoint::{self, Checkpoint, State};
use crate::density::{Density, check_archive};
use crate::page::MAX_PAGE_BYTES;
use crate::projection::ALL;
use crate::query::{Query, Value};
use crate::read_models::ReadModels;
use crate::rebuild::{Progress, RebuildError};
use crate::rows::Connection;

/// Events folded, and rows compared, at a time.
const BATCH: usize = 2000;
/// Most differences, and most faults, that are reported: a broken read model would differ in all of its rows.
pub(crate) const MAX_REPORTED: usize = 1000;

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The log was folded up to here.
    pub position: Position,
    /// When its last event was recorded. A difference in rows that have lapsed by then is ignored.
    pub at: DateTime<Utc>,
    /// Number of rows compared.
    pub rows: u64,
    /// Live read models that another version of their fold has made. They were not compared: a server of this build
    /// rebuilds them.
    pub outdated: Vec<&'static str>,
    /// Rows of live read models that differ from what the log says; the first thousand, or fewer where their documents
    /// are large.
    pub differences: Vec<Difference>,
    /// Places where positions or sequences are not dense, or the archive differs from what the log says; the first
    /// thousand.
    pub log_faults: Vec<String>,
}

/// A row that differs from what the log says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The read model.
    pub projection: &'static str,
    /// The row.
    pub key: String,
    /// The live document, if there is one.
    pub live: Option<String>,
    /// What it should be, if there should be one.
    pub expected: Option<String>,
}

impl ReadModels {
    /// Folds the whole log again and compares the live read models with the result, while they are updated further.
    /// `progress` is called after every batch. It takes memory for each stream, a few dozen bytes.
    pub async fn verify(&self, progress: impl Fn(Progress) + Send + Sync) -> Result<Report, RebuildError> {
        check_archive(&*self.inner.log).await?;
        let mut scratch = self.begin_generations(ALL).await?;
        let report = self.verify_with(&mut scratch, &progress).await;
        for checkpoint in &scratch {
            self.discard(checkpoint).await;
        }
        report
    }

    async fn verify_with(
        &self,
        scratch: &mut [Checkpoint],
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<Report, RebuildError> {
        let mut density = Density::default();
        let before_head = Position(self.inner.log.head().await?.0.saturating_sub(1));
        let last = self.inner.log.read_all(before_head, 1).await?;
        let at = last.first().map(|last| last.recorded_at).unwrap_or_default();
        let mut report = Report { at, ..Report::default() };
        loop {
            // Takes a snapshot of the live rows, which are ahead; the scratch rows are then brought to its position.
            // If they are far behind, they catch up first, without holding a snapshot open meanwhile.
            let mut snapshot = self.inner.store.snapshot().await?;
            let mut live = checkpoint::load(&mut snapshot.connection()).await?;
            live.retain(|checkpoint| checkpoint.state == State::Live);
            let Some(lowest) = live.iter().map(|checkpoint| checkpoint.position).min() else {
                return Ok(report);
            };
            if density.position().0 + 10 * (BATCH as u64) < lowest.0 {
                drop(snapshot);
                self.fold_scratch(scratch, lowest, &mut density, progress).await?;
                continue;
            }
            for live in &live {
                let matching = scratch.iter_mut().filter(|s| s.projection.name() == live.projection.name());
                for scratch in matching {
                    let scratch = std::slice::from_mut(scratch);
                    self.fold_scratch(scratch, live.position, &mut density, progress).await?;
                    if live.version != live.projection.version() {
                        report.outdated.push(live.projection.name());
                        continue;
                    }
                    self.compare(&mut snapshot.connection(), live, &scratch[0], &mut report).await?;
                }
            }
            report.position = density.position();
            report.log_faults = density.all_faults(&*self.inner.log).await?;
            return Ok(report);
        }
    }

    async fn fold_scratch(
        &self,
        scratch: &mut [Checkpoint],
        until: Position,
        density: &mut Density,
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<(), RebuildError> {
        let seen = |(events, to): &Events| {
            for envelope in events {
                density.see(envelope.position, &envelope.stream, envelope.sequence);
            }
            density.come_to(*to);
        };
        self.fill(scratch, until, progress, seen).await
    }

    /// Compares two generations in the order of their keys, page by page.
    async fn compare(
        &self,
        snapshot: &mut Connection<'_>,
        live: &Checkpoint,
        scratch: &Checkpoint,
        report: &mut Report,
    ) -> Result<(), RebuildError> {
        let mut reader = self.inner.store.reader().await?;
        let mut after = String::new();
        loop {
            let expected = rows_after(&mut reader.connection(), scratch, &after).await?;
            let found = rows_after(snapshot, live, &after).await?;
            // Compares up to the key at which both pages are complete.
            let until = [&expected, &found]
                .into_iter()
                .filter(|page| !page.is_last)
                .filter_map(|page| page.rows.last().map(|(key, _)| key.clone()))
                .min();
            let within = |key: &String| until.as_ref().is_none_or(|until| key <= until);
            let mut found: HashMap<String, String> =
                found.rows.into_iter().filter(|(key, _)| within(key)).collect();
            for (key, document) in expected.rows.into_iter().filter(|(key, _)| within(key)) {
                report.rows += 1;
                let live_document = found.remove(&key);
                if live_document.as_ref() != Some(&document) {
                    report.differ(live, key, live_document, Some(document));
                }
            }
            for (key, document) in found {
                report.rows += 1;
                report.differ(live, key, Some(document), None);
            }
            match until {
                Some(until) => after = until,
                None => return Ok(()),
            }
        }
    }
}

impl Report {
    /// Whether nothing wrong was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty() && self.log_faults.is_empty()
    }

    fn differ(&mut self, of: &Checkpoint, key: String, live: Option<String>, expected: Option<String>) {
        let has_lapsed = |document: &String| of.projection.has_lapsed(document, self.at);
        if live.iter().chain(&expected).all(has_lapsed) {
            return;
        }
        let difference = Difference { projection: of.projection.name(), key, live, expected };
        let bytes = self.differences.iter().chain([&difference]).map(Difference::bytes).sum::<usize>();
        let is_first = self.differences.is_empty();
        if is_first || (self.differences.len() < MAX_REPORTED && bytes <= MAX_PAGE_BYTES) {
            self.differences.push(difference);
        }
    }
}

impl Difference {
    /// The length of its documents.
    fn bytes(&self) -> usize {
        self.live.iter().chain(&self.expected).map(String::len).sum()
    }
}

/// Rows in the order of their keys, bounded in number and in bytes. There is at least one, unless it is the last page.
struct Rows {
    /// Keys and documents.
    rows: Vec<(String, String)>,
    is_last: bool,
}

async fn rows_after(
    connection: &mut Connection<'_>,
    of: &Checkpoint,
    after: &str,
) -> Result<Rows, RebuildError> {
    let query = Query::new("select key, octet_length(document) as bytes from {rows} where key > ")
        .bind(after)
        .push(" order by key limit ")
        .bind_count(BATCH)
        .documents("key");
    let found = connection.query(&query.text.replace("{rows}", &of.table()), &query.args).await?;
    let mut page = Rows { rows: Vec::with_capacity(found.len()), is_last: found.len() < BATCH };
    for row in found {
        let mut row = row.into_iter().map(Value::into_text);
        let document = row.next().flatten();
        let Some(key) = row.next().flatten() else { continue };
        if document.is_none() && !page.rows.is_empty() {
            page.is_last = false;
            break;
        }
        page.rows.push((key, document.unwrap_or_default()));
    }
    Ok(page)
}
