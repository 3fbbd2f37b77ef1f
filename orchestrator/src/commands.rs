//! The write side: loads an aggregate, lets it decide on a command, and appends the events at the version decided on.
//!
//! [`Executor`] does this for one kind of aggregate, with optimistic concurrency: on a conflict it loads and decides
//! again, a bounded number of times. `cache` keeps recent states in memory; `following` brings those of pipelines
//! and runners up to what other processes append. `group_locks` puts the claims of one group in a line. `versions` reads
//! what states of pipelines leave out. `background` is for commands that no client has sent.

mod background;
mod cache;
mod error;
mod event_store;
mod executor;
mod following;
mod group_locks;
mod loader;
mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rivet_events::Position;
use rivet_events::database::Database;
use rivet_events::id::PipelineId;
use rivet_events::log::{EventLog, ReadError};
use tokio::sync::MutexGuard;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::domain::archive::ArchiveState;
use crate::domain::group::GroupState;
use crate::domain::job::{JobState, Retries};
use crate::domain::job_log::JobLogState;
use crate::domain::pipeline::PipelineState;
use crate::domain::projection::ProjectionState;
use crate::domain::runner::RunnerState;
use crate::domain::webhook::WebhookState;
use crate::metrics::Metrics;
use crate::random;

pub(crate) use background::{NotRecorded, done_or_skipped, metadata, metadata_after};
pub(crate) use error::CommandError;
pub(crate) use executor::{Committed, Executor, Loaded};
use group_locks::GroupLocks;
pub(crate) use versions::RecordedVersion;

/// The entry point for all commands: one executor per kind of aggregate, over one log.
#[derive(Clone)]
pub(crate) struct Commands {
    /// Commands to jobs.
    pub jobs: Executor<JobState>,
    /// Commands to the logs of jobs.
    pub job_logs: Executor<JobLogState>,
    /// Commands to pipelines.
    pub pipelines: Executor<PipelineState>,
    /// Commands to runners.
    pub runners: Executor<RunnerState>,
    /// Commands to concurrency groups.
    pub groups: Executor<GroupState>,
    /// Commands to read models.
    pub projections: Executor<ProjectionState>,
    /// Commands to webhooks.
    pub webhooks: Executor<WebhookState>,
    /// Commands to the archive of job logs.
    pub archive: Executor<ArchiveState>,
    journal: Arc<Journal>,
}

/// What all executors share.
pub(crate) struct Journal {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    /// Whether other processes append to the same log, so that a cached state may be stale.
    shared: bool,
    /// See [`Commands::acknowledged`].
    acknowledged: AtomicU64,
    /// Runs the appends whose clients have disconnected.
    tasks: TaskTracker,
    group_locks: GroupLocks,
}

impl Commands {
    /// Creates the executors over a `log` that is stored in `database`. Everything up to `head`, its current end,
    /// counts as acknowledged. `metrics` counts the outcomes of commands. An append that has begun runs to completion
    /// even if its client disconnects, then as one of `tasks`.
    #[must_use]
    pub(crate) fn new(
        database: &Database,
        log: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        head: Position,
        metrics: &Metrics,
        tasks: &TaskTracker,
    ) -> Self {
        let journal = Arc::new(Journal {
            log,
            clock,
            shared: matches!(database, Database::Postgres(_)),
            acknowledged: AtomicU64::new(head.0),
            tasks: tasks.clone(),
            group_locks: GroupLocks::default(),
        });
        let (counts, of_jobs) = (&metrics.commands, metrics.jobs.clone());
        Self {
            jobs: Executor::new(database, journal.clone(), counts)
                .observed(move |before, after| of_jobs.count(before, after)),
            job_logs: Executor::new(database, journal.clone(), counts),
            pipelines: Executor::new(database, journal.clone(), counts).reading_on(),
            runners: Executor::new(database, journal.clone(), counts).reading_on(),
            groups: Executor::new(database, journal.clone(), counts),
            projections: Executor::new(database, journal.clone(), counts),
            webhooks: Executor::new(database, journal.clone(), counts),
            archive: Executor::new(database, journal.clone(), counts),
            journal,
        }
    }

    /// The log under the commands.
    #[must_use]
    pub(crate) fn log(&self) -> &Arc<dyn EventLog> {
        &self.journal.log
    }

    /// Whether other processes append to the same log.
    #[must_use]
    pub(crate) fn shared(&self) -> bool {
        self.journal.shared
    }

    /// The highest position that this process has acknowledged to a client, or is about to.
    #[must_use]
    pub(crate) fn acknowledged(&self) -> Position {
        Position(self.journal.acknowledged.load(Ordering::Acquire))
    }

    /// Counts everything up to `position`, which is in the log, as acknowledged to a client.
    pub(crate) fn acknowledge(&self, position: Position) {
        self.journal.acknowledge(position);
    }

    /// The head of the log, after every event that a command was decided on. Where other processes append, the log is
    /// asked for it: an aggregate that was loaded from there may have events that this process has not heard of yet.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub(crate) async fn head(&self) -> Result<Position, ReadError> {
        if self.shared() { self.log().head().await } else { Ok(*self.log().watch().borrow()) }
    }

    /// Waits until no other claim of this process takes a place in this concurrency group; none does as long as the
    /// guard lives.
    pub(crate) async fn lock_group(&self, group_id: &str) -> MutexGuard<'_, ()> {
        self.journal.group_locks.lock(group_id).await
    }

    /// Whether jobs of this pipeline may be retried. A pipeline that cannot be loaded counts as not deleted: its jobs
    /// still are.
    pub(crate) async fn retries(&self, pipeline_id: PipelineId) -> Retries {
        // Not the cached one, which another replica may have deleted.
        let loaded = self.pipelines.load_fresh(pipeline_id).await;
        let is_deleted = loaded.is_ok_and(|pipeline| matches!(*pipeline.state, PipelineState::Deleted(_)));
        if is_deleted { Retries::Forbidden } else { Retries::Allowed { jitter: random::draw() } }
    }
}

impl Journal {
    fn acknowledge(&self, position: Position) {
        self.acknowledged.fetch_max(position.0, Ordering::AcqRel);
    }
}
