//! The archiver of a server: now and then, where the process leads, and so slowly that nobody waits for it.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use rivet_events::database::Database;
use rivet_projections::ReadModels;
use tokio_util::sync::CancellationToken;

use super::{Archiver, ArchiverError, Rest, Step};
use crate::clock::Clock;
use crate::commands::Commands;
use crate::leading::Terms;
use crate::telemetry::chain;
use crate::timeline;

/// Between two looks: what a segment holds is the jobs of that time.
const INTERVAL: Duration = Duration::from_hours(1);
/// How long to wait before asking again for what has to happen elsewhere.
const WAIT: Duration = Duration::from_secs(10);

/// What the archiver of a server works with.
pub(crate) struct BackgroundArchiver {
    pub(crate) commands: Commands,
    pub(crate) read_models: ReadModels,
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long after its end the log of a job is archived.
    pub(crate) archive_after: Duration,
}

impl BackgroundArchiver {
    /// Archives until `shutdown`, while this process is the leading one.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut terms = Terms::new(&self.read_models, shutdown);
        while terms.begin().await {
            terms.during(self.archive_now_and_then()).await;
        }
    }

    async fn archive_now_and_then(&self) {
        loop {
            if let Err(error) = self.archive_all().await {
                tracing::warn!(error = %chain(&error), "the archiver will try again");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn archive_all(&self) -> Result<(), ArchiverError> {
        let log = self.commands.log();
        let Some(archive) = log.archive() else { return Ok(()) };
        let after = TimeDelta::from_std(self.archive_after).unwrap_or(TimeDelta::MAX);
        let Some(before) = self.clock.now().checked_sub_signed(after) else { return Ok(()) };
        let until = timeline::last_before(&**log, before).await?;
        let mut archiver = Archiver::new(&self.commands, &self.read_models, archive, &*self.clock, Rest(4));
        loop {
            match archiver.step(until).await? {
                Step::Archived => {}
                Step::Released(segment) => tracing::info!(
                    segment = segment.segment,
                    logs = segment.logs,
                    entries = segment.entries,
                    bytes = segment.bytes,
                    "job logs were archived"
                ),
                Step::Waiting(_) => tokio::time::sleep(WAIT).await,
                Step::Idle => break,
            }
        }
        self.database.give_back_room().await.map_err(ArchiverError::Room)
    }
}
