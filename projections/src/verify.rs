//! Verifies the read models: folds the whole log again into scratch generations beside the live ones, and compares
//! them row by row, in the order of keys (I6). On the way it checks that the log together with its archive is dense
//! (I2, I3), and that this build can read every event.

mod comparison;

use chrono::{DateTime, Utc};
use rivet_events::Position;
use serde::Serialize;

use crate::bulk;
use crate::checkpoint::{self, Checkpoint, Generation, State};
use crate::density::{Density, check_archive};
use crate::projection::ALL;
use crate::read_models::ReadModels;
use crate::rebuild::{Progress, RebuildError};

/// Events that are folded while a snapshot of the live rows is held, at most.
const NEAR: u64 = 5 * bulk::BATCH as u64;
/// Most entries of each list of the report: a broken read model would differ in all of its rows.
pub(crate) const MAX_REPORTED: usize = 1000;

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The log was folded up to here, where the live read models were.
    pub position: Position,
    /// The log was checked up to here, which was its end.
    pub head: Position,
    /// When its last event was recorded. A difference in rows that have lapsed by then is ignored.
    pub at: DateTime<Utc>,
    /// Number of rows compared.
    pub rows: u64,
    /// Live read models that another version of their fold has made. They were not compared: a server of this build
    /// rebuilds them.
    pub outdated: Vec<&'static str>,
    /// Live read models beyond the end of the log, as after an older log was restored. They were not compared: a server
    /// rebuilds them when it starts.
    pub ahead: Vec<&'static str>,
    /// Rows of live read models that differ from what the log says; the first thousand, or fewer where their documents
    /// are large.
    pub differences: Vec<Difference>,
    /// Streams that a live read model has parked, and events that it skips, although the log says otherwise, and the
    /// other way round; the first thousand.
    pub parking_faults: Vec<String>,
    /// Places where positions or sequences are not dense, or the archive or its index differs from what the log says;
    /// the first thousand.
    pub log_faults: Vec<String>,
    /// Events that this build cannot read, whether or not a read model uses their stream; the first thousand.
    pub unreadable_events: Vec<String>,
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
    /// If the documents are the same: how the columns beside them differ.
    pub columns: Vec<String>,
}

impl Difference {
    /// The length of its documents.
    fn bytes(&self) -> usize {
        self.live.iter().chain(&self.expected).map(String::len).sum()
    }
}

impl ReadModels {
    /// Folds the whole log again and compares the live read models with the result, while they are updated further.
    /// `progress` is called after every batch. It takes memory for each stream, up to 200 bytes, and two bits for each
    /// event.
    pub async fn verify(&self, progress: impl Fn(Progress) + Send + Sync) -> Result<Report, RebuildError> {
        check_archive(&*self.inner.log).await?;
        let mut scratch = self.begin_generations(ALL).await?;
        let held = checkpoint::of(&scratch);
        // While rows are compared, or segments are read, nothing else shows that they are needed; and without them, jobs that
        // were seen in the log could be purged.
        let report = tokio::select! {
            report = self.verify_with(&mut scratch, &progress) => report,
            lost = self.hold(&held) => Err(lost),
        };
        for checkpoint in &held {
            self.discard(checkpoint).await;
        }
        report
    }

    async fn verify_with(
        &self,
        scratch: &mut [Generation],
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
            let mut live = Generation::load(&mut snapshot.connection()).await?;
            live.retain(|generation| generation.checkpoint.state == State::Live);
            // The log is read after the snapshot was taken, and has all that is in it, unless it has lost events.
            let head = self.inner.log.head().await?;
            let ahead = live.extract_if(.., |live| live.checkpoint.position > head);
            report.ahead = ahead.map(|ahead| ahead.checkpoint.projection.name()).collect();
            let lowest = live.iter().map(|live| live.checkpoint.position).min().unwrap_or_default();
            if density.position().0 + NEAR < lowest.0 {
                drop(snapshot);
                self.fold_scratch(scratch, lowest, &mut density, progress).await?;
                continue;
            }
            for live in &live {
                let Checkpoint { projection, position, .. } = live.checkpoint;
                let is_same = |s: &&mut Generation| s.checkpoint.projection.name() == projection.name();
                for scratch in scratch.iter_mut().filter(is_same) {
                    let scratch = std::slice::from_mut(scratch);
                    self.fold_scratch(scratch, position, &mut density, progress).await?;
                    if live.checkpoint.is_foreign() {
                        report.outdated.push(projection.name());
                        continue;
                    }
                    self.compare(&mut snapshot.connection(), live, &scratch[0], &mut report).await?;
                }
            }
            drop(snapshot);
            report.position = density.position();
            self.see_rest(head, &mut density).await?;
            report.head = density.position();
            density.complete(&*self.inner.log).await?;
            report.log_faults = density.faults;
            report.unreadable_events = density.unreadable;
            return Ok(report);
        }
    }

    async fn fold_scratch(
        &self,
        scratch: &mut [Generation],
        until: Position,
        density: &mut Density,
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<(), RebuildError> {
        self.fill(scratch, until, progress, |events| density.see_all(events)).await
    }

    /// Checks the events that no live read model has seen yet: all of them, after a log was restored without its read
    /// models.
    async fn see_rest(&self, head: Position, density: &mut Density) -> Result<(), RebuildError> {
        while density.position() < head {
            let until = head.min(Position(density.position().0 + bulk::BATCH as u64));
            density.see_all(&self.inner.log.read_range(density.position(), until).await?);
        }
        Ok(())
    }
}

impl Report {
    /// Whether nothing wrong was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.ahead.is_empty()
            && self.differences.is_empty()
            && self.parking_faults.is_empty()
            && self.log_faults.is_empty()
            && self.unreadable_events.is_empty()
    }
}

/// Adds to a list of the report, up to [`MAX_REPORTED`].
pub(crate) fn report<T>(list: &mut Vec<T>, found: T) {
    if list.len() < MAX_REPORTED {
        list.push(found);
    }
}
