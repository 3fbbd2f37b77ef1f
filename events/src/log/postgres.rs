//! Keeps events in PostgreSQL, which any number of processes share.
//!
//! A batch is one call of the function `append_events` (see the migration): one round trip, one transaction, on a
//! connection of its own, so that no reader can hold up an append.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions, Executor, PgConnection, PgPool, Row};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::envelope::{Envelope, Position, StreamId, Version};
use crate::log::StoreError;
use crate::log::batch::{Batch, Committed};
use crate::log::keeper::{Keeper, StoredEvent};
use crate::log::writer::raise;

mod follow;

/// How long a batch may take before its connection is given up, and its callers are told that nobody knows.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the append relies on, whatever the server's defaults: durable when acknowledged, and a fresh snapshot for
/// each statement after the lock. Plans are made once a connection, while the table may be small: they must still be
/// right when it is not.
const WRITER_SESSION: &str = "
    set synchronous_commit = on;
    set default_transaction_isolation = 'read committed';
    set jit = off;
    set plan_cache_mode = force_generic_plan;
    set enable_seqscan = off;
    set enable_hashjoin = off;
    set enable_mergejoin = off";

const APPEND: &str = "select base, stale_writes from append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

/// The columns that [`decode`] reads.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select position, aggregate_type, aggregate_id, sequence, event_type, event_version, ",
            "payload::text as payload, metadata::text as metadata, event_id, recorded_at from events ",
            $rest
        )
    };
}

/// The table `events` of a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresKeeper {
    pool: PgPool,
    /// The connection of the writer, while it is known to be good.
    writer: Mutex<Option<PgConnection>>,
    /// The last position committed here, for telling the other processes.
    committed: watch::Sender<Position>,
}

impl PostgresKeeper {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, writer: Mutex::new(None), committed: watch::Sender::new(Position::default()) }
    }

    async fn connect_writer(&self) -> Result<PgConnection, sqlx::Error> {
        let options: &PgConnectOptions = &self.pool.connect_options();
        let mut connection = options.connect().await?;
        connection.execute(WRITER_SESSION).await?;
        Ok(connection)
    }
}

impl Keeper for PostgresKeeper {
    async fn commit(&self, batch: Batch<'_>) -> Result<Committed, StoreError> {
        let mut writer = self.writer.lock().await;
        // Taken out until the commit is known to have gone well, so that a broken connection is never used again.
        let taken = writer.take();
        let (connection, committed) = timeout(COMMIT_TIMEOUT, async {
            let mut connection = match taken {
                Some(connection) => connection,
                None => self.connect_writer().await?,
            };
            let committed = append(&mut connection, batch).await?;
            Ok::<_, StoreError>((connection, committed))
        })
        .await??;
        *writer = Some(connection);
        raise(&self.committed, committed.head(batch));
        Ok(committed)
    }

    async fn read_stream(&self, stream: &StreamId, after: Version) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let rows = sqlx::query(select!(
            "where aggregate_type = $1 and aggregate_id = $2 and sequence > $3 order by sequence"
        ))
        .bind(stream.kind.as_str())
        .bind(&stream.id)
        .bind(i64::try_from(after.0)?)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(decode).collect()
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let rows = sqlx::query(select!("where position > $1 order by position limit $2"))
            .bind(i64::try_from(after.0)?)
            .bind(i64::try_from(limit)?)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(decode).collect()
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let head: i64 =
            sqlx::query_scalar("select coalesce(max(position), 0) from events").fetch_one(&self.pool).await?;
        Ok(Position(head.try_into()?))
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

async fn append(connection: &mut PgConnection, batch: Batch<'_>) -> Result<Committed, StoreError> {
    let mut write = WriteColumns::default();
    for (append, new) in batch.writes() {
        write.appends.push(i32::try_from(append)?);
        write.types.push(new.stream.kind.as_str());
        write.ids.push(new.stream.id.as_str());
        write.expecteds.push(i64::try_from(new.expected.0)?);
    }
    let mut event = EventColumns::default();
    for (append, whole, new) in batch.events() {
        let envelope = &new.envelope;
        event.appends.push(i32::try_from(append)?);
        event.types.push(envelope.stream.kind.as_str());
        event.ids.push(envelope.stream.id.as_str());
        event.sequences.push(i64::try_from(envelope.sequence.0)?);
        event.event_types.push(envelope.event.event_type());
        event.event_versions.push(envelope.event.event_version().to_string());
        event.payloads.push(new.payload.as_str());
        event.metadatas.push(whole.metadata.as_str());
        event.event_ids.push(envelope.event_id.as_uuid());
        event.recorded_ats.push(envelope.recorded_at);
    }
    let (base, stale_writes): (i64, Vec<i32>) = sqlx::query_as(APPEND)
        .bind(write.appends)
        .bind(write.types)
        .bind(write.ids)
        .bind(write.expecteds)
        .bind(event.appends)
        .bind(event.types)
        .bind(event.ids)
        .bind(event.sequences)
        .bind(event.event_types)
        .bind(event.event_versions)
        .bind(event.payloads)
        .bind(event.metadatas)
        .bind(event.event_ids)
        .bind(event.recorded_ats)
        .fetch_one(connection)
        .await?;
    Ok(Committed {
        base: Position(base.try_into()?),
        stale_writes: stale_writes
            .into_iter()
            .map(|place| usize::try_from(place - 1))
            .collect::<Result<_, _>>()?,
    })
}

/// One vector a parameter of `append_events`: a place in them is a write.
#[derive(Default)]
struct WriteColumns<'a> {
    appends: Vec<i32>,
    types: Vec<&'a str>,
    ids: Vec<&'a str>,
    expecteds: Vec<i64>,
}

/// The same for events.
#[derive(Default)]
struct EventColumns<'a> {
    appends: Vec<i32>,
    types: Vec<&'a str>,
    ids: Vec<&'a str>,
    sequences: Vec<i64>,
    event_types: Vec<&'a str>,
    event_versions: Vec<String>,
    payloads: Vec<&'a str>,
    metadatas: Vec<&'a str>,
    event_ids: Vec<Uuid>,
    recorded_ats: Vec<chrono::DateTime<chrono::Utc>>,
}

fn decode(row: &PgRow) -> Result<Arc<Envelope>, StoreError> {
    let stored = StoredEvent {
        position: Position(row.try_get::<i64, _>("position")?.try_into()?),
        aggregate_type: row.try_get("aggregate_type")?,
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: Version(row.try_get::<i64, _>("sequence")?.try_into()?),
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        payload: row.try_get("payload")?,
        metadata: row.try_get("metadata")?,
        event_id: row.try_get::<Uuid, _>("event_id")?.into(),
        recorded_at: row.try_get("recorded_at")?,
    };
    Ok(Arc::new(stored.decode()?))
}
