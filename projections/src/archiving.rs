//! Deletes job logs that are in the archive, jobs that are purged, and events that are superseded. The events leave the
//! log, and the rows of job logs the read model `job_logs`, in one transaction, so that log and read model always agree.
//!
//! Only events that every read model has passed are deleted, also those of other builds, so no projector misses one. A
//! read model that is being filled has not passed them: as long as there is one, by a rebuild or a verification, nothing
//! is deleted. One that no build maintains any more is not waited for: it is rebuilt before it is maintained again.

use rivet_events::id::JobId;
use rivet_events::log::StoreError;
use rivet_events::segments::{
    Block, Release, SegmentError, compact_on_postgres, compact_on_sqlite, purge_on_postgres, purge_on_sqlite,
};
use rivet_events::{Position, StreamId};

use crate::checkpoint::{self, Checkpoint};
use crate::generation::{self, NO_VERSION};
use crate::job_logs::{self, JobLogs};
use crate::projection::AnyProjection;
use crate::query::{Query, Value};
use crate::read_models::ReadModels;
use crate::rows::Connection;

/// What a release or a purge has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// The events and rows are deleted.
    Done,
    /// Nothing was deleted: try again later.
    Waiting(Wait),
}

/// What has to happen before events can be deleted from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wait {
    /// A rebuild or a verification of a read model has to end; one that was killed counts as ended after two
    /// minutes.
    #[error("a read model is being rebuilt or verified")]
    Rebuilding,
    /// The read models have to catch up with the events that are to be deleted.
    #[error("the read models have only come to position {0}")]
    Behind(Position),
}

/// Why nothing was deleted.
#[derive(Debug, thiserror::Error)]
pub enum NotReleased {
    /// The segment contains something other than logs.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The database did not answer.
    #[error("the log and the read models cannot be changed")]
    Unavailable(#[from] StoreError),
}

impl ReadModels {
    /// Deletes the events in these blocks of a segment from the log, and their rows from the read model. The blocks
    /// must have been read back from the stored segment; `last` is the highest position in it.
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
        let Some((live, lowest)) = live_unless_rebuilding(&mut connection).await? else {
            return Ok(Released::Waiting(Wait::Rebuilding));
        };
        if lowest < last {
            return Ok(Released::Waiting(Wait::Behind(lowest)));
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

    /// Deletes the events and logs of those of these jobs that have a `job.purged`. Read models that have passed this
    /// event have deleted the rows of the job already, except for those that have parked it or have skipped an event of
    /// it: they are outdated now, and the leader rebuilds them. If one of the jobs has the last event of the log, nothing
    /// is deleted yet, however far the read models are.
    pub async fn purge(&self, jobs: &[JobId]) -> Result<Released, StoreError> {
        let mut skips = Vec::new();
        for name in Self::names() {
            skips.extend(self.skips(name).await?.into_iter().map(|skip| (name, skip.stream)));
        }
        let mut transaction = self.inner.store.begin().await?;
        let mut connection = transaction.connection();
        let Some((live, lowest)) = live_unless_rebuilding(&mut connection).await? else {
            return Ok(Released::Waiting(Wait::Rebuilding));
        };
        let purged = match &mut connection {
            Connection::Postgres(connection) => purge_on_postgres(connection, jobs, lowest).await?,
            Connection::Sqlite(connection) => purge_on_sqlite(connection, jobs, lowest).await?,
        };
        let Some(purged) = purged else { return Ok(Released::Waiting(Wait::Behind(lowest))) };
        for live in live.iter().filter(|live| live.projection.name() == JobLogs.name()) {
            for job in &purged {
                let query = job_logs::delete_all(&live.table(), *job);
                connection.execute(&query).await?;
            }
        }
        let streams = purged.iter().flat_map(|job| [StreamId::job(*job), StreamId::job_log(*job)]);
        let streams: Vec<String> = streams.map(|stream| stream.to_string()).collect();
        let skipping = skips.iter().filter(|(_, stream)| streams.contains(stream)).map(|(name, _)| *name);
        let outdated = generation::outdate(&mut connection, &streams, skipping).await?;
        transaction.commit().await?;
        if !outdated.is_empty() {
            tracing::info!(projections = ?outdated, "read models had parked or skipped events of a purged job");
        }
        Ok(Released::Done)
    }

    /// Deletes the events of runners and groups after `after` and up to `until` that no state depends on any more, neither
    /// that of the aggregate nor that of a row. Those of streams that are parked stay.
    pub async fn compact(&self, after: Position, until: Position) -> Result<Released, StoreError> {
        let mut transaction = self.inner.store.begin().await?;
        let mut connection = transaction.connection();
        let Some((_, lowest)) = live_unless_rebuilding(&mut connection).await? else {
            return Ok(Released::Waiting(Wait::Rebuilding));
        };
        if lowest < until {
            return Ok(Released::Waiting(Wait::Behind(lowest)));
        }
        let parked = connection.query(&Query::new("select distinct stream from parked_streams")).await?;
        let parked: Vec<String> = parked.into_iter().flatten().filter_map(Value::into_text).collect();
        let range = (after, until);
        match &mut connection {
            Connection::Postgres(connection) => {
                compact_on_postgres(connection, range, lowest, &parked).await?;
            }
            Connection::Sqlite(connection) => compact_on_sqlite(connection, range, lowest, &parked).await?,
        }
        transaction.commit().await?;
        Ok(Released::Done)
    }
}

/// The live read models that this build knows, and the position that all of any build have passed; `None` if one is being
/// filled. Nobody can begin to fill one until the transaction ends.
async fn live_unless_rebuilding(
    connection: &mut Connection<'_>,
) -> Result<Option<(Vec<Checkpoint>, Position)>, StoreError> {
    connection.lock_generations().await?;
    let live = checkpoint::load(connection).await?;
    let query = format!(
        "select count(*) filter (where state = 'rebuilding'),
                min(position) filter (where state = 'live' and version <> {NO_VERSION})
         from checkpoints"
    );
    let rows = connection.query(&Query::new(&query)).await?;
    let [rebuilding, lowest] = rows.first().map(Vec::as_slice).unwrap_or_default() else { return Ok(None) };
    let positions = live.iter().map(|live| live.position).chain(lowest.count().map(Position));
    let lowest = positions.min().unwrap_or_default();
    Ok((rebuilding.count() == Some(0)).then_some((live, lowest)))
}
