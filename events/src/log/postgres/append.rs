//! Stores a batch in PostgreSQL by one call of the function `append_events` (see the migrations): one round trip, and
//! one transaction.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::envelope::Position;
use crate::log::StoreError;
use crate::log::batch::{Batch, StoreBatch, Write};

/// The casts to `json` check the texts before the function takes the append lock.
const APPEND: &str = "select append_events($1, $2, $3, $4, $5, $6, $7, $8, $9::text[]::json[], $10::text[]::json[], $11, $12, $13)";

/// Selects the stale ones of these writes (type, id, expected version), counted from 1, ascending.
const STALE_WRITES: &str = "
    select w.place from unnest($1::text[], $2::text[], $3::bigint[]) with ordinality as w (type, id, expected, place)
    where w.expected <> coalesce((
        select e.sequence from events e
        where e.aggregate_type = w.type and e.aggregate_id = w.id
        order by e.sequence desc limit 1
    ), 0)
    order by w.place";

/// The constraint by which a stream has each sequence only once.
const STREAM_KEY: &str = "events_stream_sequence";

/// A batch on its way over a connection.
pub(super) struct PostgresBatch<'a> {
    pub(super) connection: &'a mut PgConnection,
    pub(super) batch: Batch<'a>,
    /// A lower bound of the last position.
    pub(super) known_head: Position,
}

impl StoreBatch for PostgresBatch<'_> {
    async fn append(&mut self, stale_writes: &[usize]) -> Result<Option<Position>, StoreError> {
        let columns = Columns::new(self.batch, stale_writes);
        match columns.append(self.connection, self.known_head).await {
            Ok(Some(base)) => Ok(Some(Position::from_sql(base))),
            Ok(None) => Ok(None),
            Err(error) if is_stream_conflict(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn find_stale_writes(&mut self) -> Result<Vec<usize>, StoreError> {
        let mut writes = Streams::default();
        for (_, write) in self.batch.writes() {
            writes.push(write);
        }
        let places: Vec<i64> = sqlx::query_scalar(STALE_WRITES)
            .bind(&writes.types)
            .bind(&writes.ids)
            .bind(&writes.versions)
            .fetch_all(&mut *self.connection)
            .await?;
        Ok(places.into_iter().map(|place| usize::try_from(place - 1)).collect::<Result<_, _>>()?)
    }
}

fn is_stream_conflict(error: &sqlx::Error) -> bool {
    // Not every error that names the constraint: its index also refuses ids that are too long.
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation() && error.constraint() == Some(STREAM_KEY))
}

/// Streams with their expected versions, as one vector for each column.
#[derive(Default)]
struct Streams<'a> {
    types: Vec<&'a str>,
    ids: Vec<&'a str>,
    versions: Vec<i64>,
}

impl<'a> Streams<'a> {
    fn push(&mut self, write: &'a Write) {
        self.types.push(write.stream.kind.as_str());
        self.ids.push(write.stream.id.as_str());
        self.versions.push(write.expected.to_sql());
    }
}

/// The parameters of `append_events`, one vector each.
#[derive(Default)]
struct Columns<'a> {
    /// The streams to look up.
    streams: Streams<'a>,
    types: Vec<&'a str>,
    ids: Vec<&'a str>,
    sequences: Vec<i64>,
    event_types: Vec<&'a str>,
    event_versions: Vec<String>,
    payloads: Vec<&'a str>,
    metadatas: Vec<&'a str>,
    event_ids: Vec<Uuid>,
    recorded_ats: Vec<DateTime<Utc>>,
}

impl<'a> Columns<'a> {
    /// The columns of the appends that have no stale write.
    fn new(batch: Batch<'a>, stale_writes: &[usize]) -> Self {
        let mut columns = Self::default();
        for write in batch.looked_up(stale_writes) {
            columns.streams.push(write);
        }
        for (whole, new) in batch.accepted(stale_writes) {
            let envelope = &new.envelope;
            columns.types.push(envelope.stream.kind.as_str());
            columns.ids.push(envelope.stream.id.as_str());
            columns.sequences.push(envelope.sequence.to_sql());
            columns.event_types.push(envelope.event.event_type());
            columns.event_versions.push(envelope.event.event_version().to_string());
            columns.payloads.push(new.payload.as_str());
            columns.metadatas.push(whole.metadata.as_str());
            columns.event_ids.push(envelope.event_id.as_uuid());
            columns.recorded_ats.push(envelope.recorded_at);
        }
        columns
    }

    /// Returns the position before the first event stored; `None` if a stream that was looked up is not at its
    /// version.
    async fn append(
        &self,
        connection: &mut PgConnection,
        known_head: Position,
    ) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar(APPEND)
            .bind(&self.streams.types)
            .bind(&self.streams.ids)
            .bind(&self.streams.versions)
            .bind(&self.types)
            .bind(&self.ids)
            .bind(&self.sequences)
            .bind(&self.event_types)
            .bind(&self.event_versions)
            .bind(&self.payloads)
            .bind(&self.metadatas)
            .bind(&self.event_ids)
            .bind(&self.recorded_ats)
            .bind(known_head.to_sql())
            .fetch_one(connection)
            .await
    }
}
