//! Proves the read models: folds the whole log again into scratch tables beside the live ones, and compares row by row
//! in the order of keys (I6). On the way it checks that the log is dense (I2, I3), together with what was archived of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rivet_events::Position;
use serde::Serialize;

use crate::bulk::Events;
use crate::checkpoint::{self, Checkpoint, State};
use crate::density::{Density, check_archive};
use crate::projection::ALL;
use crate::query::{Query, Value};
use crate::read_models::ReadModels;
use crate::rebuild::{Progress, RebuildError};
use crate::rows::Connection;

/// Events folded, and rows compared, at a time.
const BATCH: usize = 2000;
/// Differences and faults reported, each; a broken read model would name all of its rows.
pub(crate) const MAX_REPORTED: usize = 1000;

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The log was folded up to here.
    pub position: Position,
    /// When its last event was recorded: what has lapsed by then is no difference.
    pub at: DateTime<Utc>,
    /// Rows compared.
    pub rows: u64,
    /// Live read models of another version of their fold, which were not compared: a server of this build rebuilds them.
    pub outdated: Vec<&'static str>,
    /// Where a live read model is not what the log says; the first thousand.
    pub differences: Vec<Difference>,
    /// Where positions or sequences are not dense, or the archive is not what the log says; the first thousand.
    pub log_faults: Vec<String>,
}

/// A row that is not what the log says.
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
    /// Folds the whole log again and compares the live read models with it, while they go on. `progress` hears of
    /// every batch. Memory grows with the number of streams, a few dozen bytes each.
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
            // A snapshot ahead of the scratch rows, which then follow it to where it stands.
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
            report.log_faults = density.faults_beside(&*self.inner.log).await?;
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

    /// Compares two generations in the order of their keys, a page at a time.
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
            // Up to where both pages are complete.
            let until = [&expected, &found]
                .into_iter()
                .filter(|page| page.len() == BATCH)
                .filter_map(|page| page.last().map(|(key, _)| key.clone()))
                .min();
            let within = |key: &String| until.as_ref().is_none_or(|until| key <= until);
            let mut found: HashMap<String, String> =
                found.into_iter().filter(|(key, _)| within(key)).collect();
            for (key, document) in expected.into_iter().filter(|(key, _)| within(key)) {
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
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty() && self.log_faults.is_empty()
    }

    fn differ(&mut self, of: &Checkpoint, key: String, live: Option<String>, expected: Option<String>) {
        let has_lapsed = |document: &String| of.projection.has_lapsed(document, self.at);
        if live.iter().chain(&expected).all(has_lapsed) {
            return;
        }
        if self.differences.len() < MAX_REPORTED {
            self.differences.push(Difference { projection: of.projection.name(), key, live, expected });
        }
    }
}

async fn rows_after(
    connection: &mut Connection<'_>,
    of: &Checkpoint,
    after: &str,
) -> Result<Vec<(String, String)>, RebuildError> {
    let query = Query::new(&format!("select key, document from {} where key > ", of.table()))
        .bind(after)
        .push(" order by key limit ")
        .bind_count(BATCH);
    let rows = connection.query(&query.text, &query.args).await?;
    let texts = rows.into_iter().map(|row| row.into_iter().filter_map(Value::into_text));
    Ok(texts.filter_map(|mut texts| Some((texts.next()?, texts.next()?))).collect())
}
