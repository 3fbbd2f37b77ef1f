//! Deletes jobs that ended longer ago than the retention: their streams, their logs, and segments that hold no other
//! logs; and events of runners and groups that are as old, and that no state depends on.
//!
//! A job is first marked by an event in its own stream, on which every read model deletes its rows. When all read
//! models have passed that event, the stream is deleted, including that event. A rebuild then finds nothing of the
//! job, and gives the same rows as the live read models have.

use std::time::Instant;

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt};
use rivet_events::id::JobId;
use rivet_events::log::{EventLog, ReadError};
use rivet_events::segments::Purged;
use rivet_events::{CLOCKS_DIFFER, Position, StreamId};
use rivet_projections::{Released, Wait};

use super::{ArchiveCommand, Archiver, ArchiverError, PROCESS, Step};
use crate::commands::{CommandError, done_or_skipped, metadata};
use crate::domain::archive::{ArchiveError, ArchiveState, BeginPurge, RecordPurge, RecordRemoval};
use crate::domain::job::{Ended, JobCommand, JobState, PurgeJob};
use crate::timeline;

/// Jobs that are marked together, before they are deleted.
const JOBS: usize = 1_000;
/// Of these, the jobs whose events are deleted in one transaction.
const JOBS_DELETED: usize = 200;
/// Jobs that are marked concurrently.
const CONCURRENT: usize = 64;
/// Positions whose superseded events are deleted in one transaction.
const COMPACTED: u64 = 5_000;
/// Where no job has ended, a purge passes at least so many positions, since it adds two events itself.
const WORTHWHILE: u64 = 10_000;

/// Which jobs are to be deleted: those for which both bounds hold, and those whose end is a mistake, of a clock that was
/// more than a day ahead, as soon as the first holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// Their end is recorded at this position or before.
    pub(crate) until: Position,
    /// They ended at this time or before, by their own event.
    pub(crate) ended_until: DateTime<Utc>,
}

impl Retention {
    /// For the jobs that ended at `ended_until` or before.
    pub(crate) async fn of(log: &dyn EventLog, ended_until: DateTime<Utc>) -> Result<Self, ReadError> {
        // Of what is recorded up to here, nothing ended later by clocks that differ no more than they may.
        let until = timeline::last_before(log, ended_until - CLOCKS_DIFFER).await?;
        Ok(Self { until, ended_until })
    }
}

impl Archiver<'_> {
    /// Takes the next step of purging: marks the next jobs, or deletes those that are marked. When no jobs are left,
    /// deletes a segment that is no longer needed.
    pub(crate) async fn purge_step(&mut self, retention: Retention) -> Result<Step, ArchiverError> {
        let state = self.state().await?;
        if let Some(pending) = state.pending {
            return self.release(pending).await;
        }
        if let Some(through) = state.purging_through {
            return self.delete(&state, through).await;
        }
        let after = state.purged_through;
        let from = after.max(self.purged_through);
        let ended =
            self.archive.ended_jobs(from, retention.until, JOBS).await.map_err(ArchiverError::Purge)?;
        if ended.ids.is_empty() {
            self.purged_through = ended.through;
            if ended.through.0 - after.0 < WORTHWHILE {
                return self.remove_segment(&state).await;
            }
        }
        // What is passed now is never looked at again, so this waits for the first job that is too young.
        if !self.mark(&ended.ids, retention.ended_until).await? {
            return self.remove_segment(&state).await;
        }
        self.begin(after, ended.through).await?;
        Ok(Step::Marked)
    }

    /// Records that the jobs after `after` and up to `through` are marked.
    async fn begin(&self, after: Position, through: Position) -> Result<(), ArchiverError> {
        let begin = BeginPurge { after, through, now: self.clock.now() };
        match self.execute(ArchiveCommand::BeginPurge(begin)).await {
            Ok(_) | Err(CommandError::Refused(ArchiveError::Overtaken)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes the jobs up to `through`, all of which are marked, and events that are superseded, and records that.
    async fn delete(&self, state: &ArchiveState, through: Position) -> Result<Step, ArchiverError> {
        let mut passed = state.purged_through;
        while passed < through {
            let ended = self.archive.ended_jobs(passed, through, JOBS).await.map_err(ArchiverError::Purge)?;
            for jobs in ended.ids.chunks(JOBS_DELETED) {
                let began = Instant::now();
                match self.read_models.purge(jobs).await.map_err(ArchiverError::Purge)? {
                    Released::Done => {}
                    // The last event of the log cannot be deleted: append one after it first.
                    Released::Waiting(Wait::Behind(position))
                        if position >= self.commands.log().head().await? =>
                    {
                        self.begin(state.purged_through, through).await?;
                        return Ok(Step::Marked);
                    }
                    Released::Waiting(wait) => return Ok(Step::Waiting(wait)),
                }
                for job in jobs {
                    self.commands.jobs.evict(job);
                    self.commands.job_logs.evict(job);
                }
                self.pause_after(began.elapsed()).await;
            }
            passed = ended.through;
        }
        let mut compacted = state.purged_through;
        while compacted < through {
            let (after, began) = (compacted, Instant::now());
            compacted = through.min(Position(after.0 + COMPACTED));
            let compaction = self.read_models.compact(after, compacted).await;
            if let Released::Waiting(wait) = compaction.map_err(ArchiverError::Purge)? {
                return Ok(Step::Waiting(wait));
            }
            self.pause_after(began.elapsed()).await;
        }
        let purged = self.archive.purged().await.map_err(ArchiverError::Purge)?;
        let Purged { jobs, events } = purged;
        let record = RecordPurge { jobs, events, through, now: self.clock.now() };
        match self.execute(ArchiveCommand::RecordPurge(record)).await {
            Ok(_) | Err(CommandError::Refused(ArchiveError::Overtaken)) => {}
            Err(error) => return Err(error.into()),
        }
        let (jobs, events) =
            (jobs.saturating_sub(state.purged_jobs), events.saturating_sub(state.purged_events));
        Ok(Step::Purged { jobs, events, through })
    }

    /// Marks jobs as purged. False if one of them is too young. A job that does not exist any more was deleted before; one
    /// that cannot be read is kept.
    async fn mark(&self, jobs: &[JobId], ended_until: DateTime<Utc>) -> Result<bool, ArchiverError> {
        let purge = JobCommand::Purge(PurgeJob { ended_until, now: self.clock.now() });
        let metadata = metadata(PROCESS);
        let mut marked = stream::iter(jobs.to_vec())
            .map(|job| {
                let (jobs, purge, metadata) = (self.commands.jobs.clone(), purge.clone(), metadata.clone());
                async move { (job, jobs.execute(job, purge, &metadata).await) }
            })
            .buffer_unordered(CONCURRENT);
        let is_marked = |job: &JobState| matches!(job, JobState::Ended(Ended { purged: true, .. }));
        let mut are_marked = true;
        while let Some((job_id, outcome)) = marked.next().await {
            let done = done_or_skipped(PROCESS, &StreamId::job(job_id), outcome)
                .map_err(|error| ArchiverError::Purge(error.into()))?;
            are_marked &= done.is_none_or(|done| is_marked(&done.state));
        }
        Ok(are_marked)
    }

    /// Deletes a segment that holds only logs of deleted jobs. [`Step::Idle`] if there is none.
    ///
    /// It is deleted before that is recorded: after a crash in between it is found again among the segments that are
    /// kept, and deleting it once more does no harm. In the other order, nobody would ever delete it.
    async fn remove_segment(&mut self, state: &ArchiveState) -> Result<Step, ArchiverError> {
        for kept in state.kept.iter().filter(|kept| kept.through <= state.purged_through) {
            if self.archive.is_needed(kept.segment).await.map_err(ArchiverError::Purge)? {
                continue;
            }
            let objects = self.archive.objects().map_err(ArchiverError::Objects)?;
            objects.delete(&kept.object).await.map_err(ArchiverError::Objects)?;
            let now = self.clock.now();
            self.execute(ArchiveCommand::RecordRemoval(RecordRemoval { segment: kept.segment, now })).await?;
            return Ok(Step::SegmentRemoved);
        }
        Ok(Step::Idle)
    }
}
