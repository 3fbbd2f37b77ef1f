//! Lets go of job logs that are in the archive, and of jobs that are not kept: their events leave the log, and their
//! rows the read model, in one transaction, so that at any time the one is what the other says.
//!
//! The rows are those of events that every read model has passed, so no projector comes upon what is gone. A read
//! model that is being filled has not passed them: as long as there is one, of a rebuild or a verification, nothing
//! is let go.

use rivet_events::Position;
use rivet_events::id::JobId;
use rivet_events::log::StoreError;
use rivet_events::segments::{Block, Release, SegmentError, purge_on_postgres, purge_on_sqlite};

use crate::checkpoint::{self, Checkpoint, State};
use crate::job_logs::{self, JobLogs};
use crate::projection::AnyProjection;
use crate::read_models::ReadModels;
use crate::rows::Connection;

/// What became of a wish to let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// They are gone.
    Done,
    /// A read model is being filled: later.
    Rebuilding,
    /// A read model has only come to this position: later.
    Behind(Position),
}

/// Why nothing was let go.
#[derive(Debug, thiserror::Error)]
pub enum NotReleased {
    /// The segment holds something else than logs.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The database did not answer.
    #[error("the log and the read models cannot be changed")]
    Unavailable(#[from] StoreError),
}

impl ReadModels {
    /// Lets go of what these blocks of a segment hold, which was read back from there; `last` is the highest position
    /// in the segment.
    pub async fn release(
        &self,
        segment: u64,
        object: &str,
        blocks: &[Block],
        last: Position,
    ) -> Result<Released, NotReleased> {
        let release = Release::of(segment, object, blocks)?;
        let keys: Vec<String> =
            release.batches().iter().map(|(job, first_index)| job_logs::key(*job, *first_index)).collect();
        let mut transaction = self.inner.store.begin().await?;
        let mut connection = transaction.connection();
        let Some(live) = settled(&mut connection).await? else { return Ok(Released::Rebuilding) };
        let lowest = live.iter().map(|checkpoint| checkpoint.position).min().unwrap_or_default();
        if lowest < last {
            return Ok(Released::Behind(lowest));
        }
        match &mut connection {
            Connection::Postgres(connection) => release.on_postgres(connection).await?,
            Connection::Sqlite(connection) => release.on_sqlite(connection).await?,
        }
        for live in live.iter().filter(|live| live.projection.name() == JobLogs.name()) {
            connection.delete(&live.table(), &keys).await?;
        }
        transaction.commit().await?;
        Ok(Released::Done)
    }

    /// Deletes the events of those of these jobs that are to be forgotten, as the log says, and what is kept of their
    /// logs. Read models have forgotten the jobs themselves when they have passed that event. Where one of them has
    /// the last event of the log, it is too early, however far the read models are.
    pub async fn forget(&self, jobs: &[JobId]) -> Result<Released, StoreError> {
        let mut transaction = self.inner.store.begin().await?;
        let mut connection = transaction.connection();
        let Some(live) = settled(&mut connection).await? else { return Ok(Released::Rebuilding) };
        let lowest = live.iter().map(|checkpoint| checkpoint.position).min().unwrap_or_default();
        let purged = match &mut connection {
            Connection::Postgres(connection) => purge_on_postgres(connection, jobs, lowest).await?,
            Connection::Sqlite(connection) => purge_on_sqlite(connection, jobs, lowest).await?,
        };
        if purged.later > 0 {
            return Ok(Released::Behind(lowest));
        }
        for live in live.iter().filter(|live| live.projection.name() == JobLogs.name()) {
            for job in &purged.jobs {
                let query = job_logs::delete_all(&live.table(), *job);
                connection.execute(&query.text, &query.args).await?;
            }
        }
        transaction.commit().await?;
        Ok(Released::Done)
    }
}

/// All read models, where none is being filled; nobody begins to fill one until the transaction ends.
async fn settled(connection: &mut Connection<'_>) -> Result<Option<Vec<Checkpoint>>, StoreError> {
    connection.lock_generations().await?;
    let checkpoints = checkpoint::load(connection).await?;
    let is_filled = |checkpoint: &Checkpoint| checkpoint.state == State::Live;
    Ok(checkpoints.iter().all(is_filled).then_some(checkpoints))
}
