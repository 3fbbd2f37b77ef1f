//! Keeps events in PostgreSQL, which any number of processes share.
//!
//! The writer and the readers of the log each have connections of their own, apart from the pool that queries share: no
//! slow query can delay an append.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::database::{DedicatedPool, PostgresDatabase};
use crate::envelope::{Envelope, Position, Version};
use crate::log::StoreError;
use crate::log::batch::{self, Batch, Committed};
use crate::log::keeper::{EventRow, Keeper, Range, to_sql};
use crate::log::writer::raise;
use crate::stream::StreamId;
use append::PostgresBatch;

mod append;
mod follow;

/// How long committing a batch may take. After it, the callers are told that the outcome is unknown.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Settings that the append relies on, whatever the server's defaults.
///
/// - An acknowledged commit is durable.
/// - A batch that does not get the append lock gives up well before [`COMMIT_TIMEOUT`], which it may have had to share
///   with connecting. Otherwise, behind a commit that hangs (for a standby that is gone, for example), batches would
///   pile up in the server, use up its connections, and be stored after their callers were told of a failure.
/// - Plans are made once for each connection, perhaps while the table is small. They must still be right when it is large,
///   so only index scans and nested loops are allowed.
const WRITER_SESSION: &str = "
    set synchronous_commit = on;
    set lock_timeout = '5s';
    set jit = off;
    set plan_cache_mode = force_generic_plan;
    set enable_seqscan = off;
    set enable_hashjoin = off;
    set enable_mergejoin = off";

/// A query whose reader gave up (after [`READ_TIMEOUT`]) ends in the server as well.
const READER_SESSION: &str = "set statement_timeout = '30s'; set jit = off";

/// Classes of errors about the data of a statement: invalid values, violated constraints, and exceeded limits of the
/// server, such as the length of an index entry.
const REFUSALS: [&str; 3] = ["22", "23", "54"];

/// Connections of the writer, and of the readers.
const WRITERS: usize = PostgresKeeper::CONCURRENT_COMMITS;
const READERS: usize = 8;

/// The columns that [`stored`] reads.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select position, aggregate_type, aggregate_id, sequence, event_type, event_version, ",
            "payload::text as payload, metadata::text as metadata, event_id, recorded_at from events ",
            $rest
        )
    };
}

/// The events of a range that fit its bounds. They are measured up to the first one that does not fit, and no further:
/// PostgreSQL has to decompress a payload to know its length.
const RANGE: &str = select!(
    "where position > $1 and position <= coalesce((
         select position - 1 from (
             select position, bytes, sum(bytes) over (order by position rows unbounded preceding) as total
             from (
                 select position, octet_length(payload::text) as bytes from events
                 where position > $1 and position <= $2 order by position limit $3
             ) as next
         ) as measured
         where total > $4 and total > bytes order by position limit 1
     ), $2) order by position limit $3"
);

/// All events of the logs of some jobs, one job after the other.
pub(crate) const JOB_LOGS: &str =
    select!("where aggregate_type = 'job_log' and aggregate_id = any($1) order by aggregate_id, sequence");

/// The table `events` of a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresKeeper {
    database: PostgresDatabase,
    writers: DedicatedPool,
    readers: DedicatedPool,
    /// The last position that this process committed, which the other processes are notified of.
    committed: watch::Sender<Position>,
}

impl PostgresKeeper {
    pub(super) fn new(database: PostgresDatabase) -> Self {
        let writers = DedicatedPool::new(&database, WRITERS, COMMIT_TIMEOUT, WRITER_SESSION);
        let readers = DedicatedPool::new(&database, READERS, READ_TIMEOUT, READER_SESSION);
        Self { database, writers, readers, committed: watch::Sender::new(Position::default()) }
    }

    async fn read(&self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let rows = self.readers.run(async |connection| query.fetch_all(connection).await).await?;
        let decoded = rows.iter().map(|row| Ok(Arc::new(stored(row)?.decode())));
        let events: Vec<Arc<Envelope>> = decoded.collect::<Result<_, StoreError>>()?;
        if let Some(last) = events.iter().max_by_key(|event| event.position) {
            self.database.last_seen.note(last.position, last.event_id);
        }
        Ok(events)
    }
}

impl Keeper for PostgresKeeper {
    // One batch holds the append lock while the next one is sent.
    const CONCURRENT_COMMITS: usize = 2;

    async fn commit(&self, batch: Batch<'_>) -> Result<Committed, StoreError> {
        let known_head = *self.committed.borrow();
        let committed = self
            .writers
            .run(async |connection| batch::commit(PostgresBatch { connection, batch, known_head }).await)
            .await?;
        if let Some((position, event_id)) = committed.last(batch) {
            self.database.last_seen.note(position, event_id);
            raise(&self.committed, position);
        }
        Ok(committed)
    }

    fn is_refusal(error: &StoreError) -> bool {
        let Some(sqlx::Error::Database(error)) = error.downcast_ref() else { return false };
        error.code().is_some_and(|code| REFUSALS.iter().any(|class| code.starts_with(class)))
    }

    async fn read_stream(&self, stream: &StreamId, after: Version) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let query = sqlx::query(select!(
            "where aggregate_type = $1 and aggregate_id = $2 and sequence > $3 order by sequence"
        ));
        let query = query.bind(stream.kind.as_str()).bind(&stream.id).bind(after.to_sql());
        self.read(query).await
    }

    async fn read_stream_end(
        &self,
        stream: &StreamId,
        until: Version,
        count: usize,
    ) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let query = sqlx::query(select!(
            "where aggregate_type = $1 and aggregate_id = $2 and sequence <= $3 order by sequence desc limit $4"
        ));
        let query = query.bind(stream.kind.as_str()).bind(&stream.id);
        let query = query.bind(until.to_sql()).bind(i64::try_from(count)?);
        let mut events = self.read(query).await?;
        events.reverse();
        Ok(events)
    }

    async fn read_range(&self, range: Range) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let query = sqlx::query(RANGE).bind(range.after.to_sql()).bind(range.until.to_sql());
        self.read(query.bind(to_sql(range.limit)).bind(to_sql(range.bytes))).await
    }

    async fn read_at(&self, positions: &[Position]) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let positions: Vec<i64> = positions.iter().map(|position| position.to_sql()).collect();
        self.read(sqlx::query(select!("where position = any($1) order by position")).bind(positions)).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.readers.run(async |connection| self.database.last_seen.find_head(connection).await).await
    }

    async fn follow_others(
        self: Arc<Self>,
        head: Arc<watch::Sender<Position>>,
        poll_interval: Duration,
        stop: CancellationToken,
    ) {
        let committed = self.committed.subscribe();
        let follower = follow::Follower { keeper: self, committed, head, poll_interval };
        stop.run_until_cancelled(follower.run()).await;
    }
}

pub(crate) fn stored(row: &PgRow) -> Result<EventRow<'_>, StoreError> {
    Ok(EventRow {
        position: Position::from_sql(row.try_get("position")?),
        aggregate_type: row.try_get("aggregate_type")?,
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: Version::from_sql(row.try_get("sequence")?),
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        payload: row.try_get("payload")?,
        metadata: row.try_get("metadata")?,
        event_id: row.try_get::<Uuid, _>("event_id")?.into(),
        recorded_at: row.try_get("recorded_at")?,
    })
}
