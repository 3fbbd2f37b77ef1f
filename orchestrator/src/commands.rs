//! Commands: load the stream, decide, append at the version that was decided on; again if it moved meanwhile.

mod error;
mod event_store;
mod executor;
mod following;
mod loader;
mod reconciling;
mod states;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rivet_events::Position;
use rivet_events::database::Database;
use rivet_events::id::PipelineId;
use rivet_events::log::EventLog;
use tokio_util::task::TaskTracker;

use crate::chance;
use crate::clock::Clock;
use crate::domain::archive::Archive;
use crate::domain::group::Group;
use crate::domain::job::{Backoff, Job};
use crate::domain::job_log::JobLog;
use crate::domain::pipeline::Pipeline;
use crate::domain::projection::Projection;
use crate::domain::runner::Runner;
use crate::domain::webhook::Webhook;
use crate::metrics::Metrics;

pub use error::CommandError;
pub use executor::{Committed, Executor, Loaded};
pub(crate) use reconciling::{ReconcileError, metadata, unless_passed_over};

/// Where every command goes: one executor an aggregate, over one log.
#[derive(Clone)]
pub struct Commands {
    /// Commands to jobs.
    pub jobs: Executor<Job>,
    /// Commands to the logs of jobs.
    pub job_logs: Executor<JobLog>,
    /// Commands to pipelines.
    pub pipelines: Executor<Pipeline>,
    /// Commands to runners.
    pub runners: Executor<Runner>,
    /// Commands to concurrency groups.
    pub groups: Executor<Group>,
    /// Commands to read models.
    pub projections: Executor<Projection>,
    /// Commands to webhooks.
    pub webhooks: Executor<Webhook>,
    /// Commands to the archive of job logs.
    pub archive: Executor<Archive>,
    journal: Arc<Journal>,
}

/// What all executors share.
pub(crate) struct Journal {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    /// Whether other processes append to the same log, so that a cached state may be behind.
    shared: bool,
    acknowledged: AtomicU64,
    /// The appends of clients that have left.
    tasks: TaskTracker,
}

impl Commands {
    /// Commands over a log that is kept in `database` and has come to `head`: all of that has been acknowledged. What
    /// becomes of them is counted in `metrics`; an append that was begun is seen through, if need be as one of `tasks`.
    #[must_use]
    pub fn new(
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
        });
        let (counts, of_jobs) = (&metrics.commands, metrics.jobs.clone());
        Self {
            jobs: Executor::new(database, journal.clone(), counts)
                .observed(move |before, after| of_jobs.count(before, after)),
            job_logs: Executor::new(database, journal.clone(), counts),
            pipelines: Executor::new(database, journal.clone(), counts),
            runners: Executor::new(database, journal.clone(), counts),
            groups: Executor::new(database, journal.clone(), counts),
            projections: Executor::new(database, journal.clone(), counts),
            webhooks: Executor::new(database, journal.clone(), counts),
            archive: Executor::new(database, journal.clone(), counts),
            journal,
        }
    }

    /// The log under the commands.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.journal.log
    }

    /// Whether other processes append to the same log.
    #[must_use]
    pub fn shared(&self) -> bool {
        self.journal.shared
    }

    /// The highest position that this process has acknowledged to a client, or is about to.
    #[must_use]
    pub fn acknowledged(&self) -> Position {
        Position(self.journal.acknowledged.load(Ordering::Acquire))
    }

    /// The wait before a retry of a job of this pipeline; none where the pipeline was deleted. One that cannot be read
    /// is no reason to end its jobs.
    pub(crate) async fn backoff(&self, pipeline_id: PipelineId) -> Option<Backoff> {
        let loaded = self.pipelines.load(pipeline_id).await;
        let is_deleted = loaded.is_ok_and(|pipeline| pipeline.aggregate.state.deleted);
        (!is_deleted).then(|| Backoff { jitter: chance::draw() })
    }
}

impl Journal {
    fn acknowledge(&self, position: Position) {
        self.acknowledged.fetch_max(position.0, Ordering::AcqRel);
    }
}
