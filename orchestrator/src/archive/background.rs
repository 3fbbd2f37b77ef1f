//! The archiver of a server: runs on the leader once an hour, throttled so that requests do not wait for it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rivet_events::database::Database;
use rivet_projections::{Leadership, ReadModels, Wait};
use tokio_util::sync::CancellationToken;

use super::{Archiver, ArchiverError, Retention, Step, Throttle};
use crate::clock::Clock;
use crate::commands::Commands;
use crate::metrics::WorkerMetrics;
use crate::telemetry::chain;
use crate::timeline;

/// Pause between two runs. A segment holds about as many jobs as came due for the archive meanwhile.
const INTERVAL: Duration = Duration::from_hours(1);
/// Pause before checking again whether a rebuild has ended.
const REBUILD_WAIT: Duration = Duration::from_secs(10);
/// The same for read models that lag, most often by little.
const READ_WAIT: Duration = Duration::from_millis(500);
/// Pause after something failed.
const RETRY: Duration = Duration::from_mins(1);

/// The archiver of a server, and what it needs.
pub(crate) struct BackgroundArchiver {
    pub(crate) commands: Commands,
    pub(crate) read_models: ReadModels,
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<WorkerMetrics>,
    /// How long after its end the log of a job is archived; `None` for never.
    pub(crate) archive_after: Option<Duration>,
    /// How long after its end a job is kept; `None` for ever.
    pub(crate) keep: Option<Duration>,
}

impl BackgroundArchiver {
    /// Archives until `shutdown`, while this process is the leader.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut leadership = Leadership::new(&self.read_models, shutdown);
        while leadership.wait_until_leading().await {
            leadership.run_while_leading(self.archive_regularly()).await;
        }
    }

    async fn archive_regularly(&self) {
        loop {
            let pause = match self.archive_all().await {
                Ok(()) => INTERVAL,
                Err(error) => {
                    self.metrics.archiver_failed();
                    tracing::warn!(error = %chain(&error), "the archiver will try again");
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn archive_all(&self) -> Result<(), ArchiverError> {
        let log = self.commands.log();
        let Some(archive) = log.archive() else { return Ok(()) };
        let mut archiver =
            Archiver::new(&self.commands, &self.read_models, archive, &*self.clock, Throttle(4));
        if let Some(before) = self.archive_after.and_then(|age| self.ago(age)) {
            let until = timeline::last_before(&**log, before).await?;
            while !self.is_done(archiver.step(until).await?).await {}
        }
        if let Some(ended_until) = self.keep.and_then(|age| self.ago(age)) {
            let retention = Retention::of(&**log, ended_until).await?;
            while !self.is_done(archiver.purge_step(retention).await?).await {}
        }
        self.database.give_back_room().await.map_err(ArchiverError::Room)
    }

    fn ago(&self, age: Duration) -> Option<DateTime<Utc>> {
        self.clock.now().checked_sub_signed(TimeDelta::from_std(age).ok()?)
    }

    /// Logs the outcome of a step. Returns whether it was the last one; pauses first if the archiver has to wait.
    async fn is_done(&self, step: Step) -> bool {
        match step {
            Step::Archived | Step::Marked | Step::SegmentRemoved => {}
            Step::Released(segment) => tracing::info!(
                segment = segment.segment,
                logs = segment.logs,
                entries = segment.entries,
                bytes = segment.bytes,
                "job logs were archived"
            ),
            Step::Purged { jobs, events, .. } => tracing::info!(jobs, events, "jobs were purged"),
            Step::Waiting(Wait::Behind(_)) => tokio::time::sleep(READ_WAIT).await,
            Step::Waiting(Wait::Rebuilding) => tokio::time::sleep(REBUILD_WAIT).await,
            Step::Idle => return true,
        }
        false
    }
}
