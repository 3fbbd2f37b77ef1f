//! Keeps events in the one SQLite file of the one process.

use std::sync::Arc;

use chrono::DateTime;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::database::{Durability, PackedTexts, SqliteDatabase};
use crate::envelope::{Envelope, Position, StreamId, Version};
use crate::log::StoreError;
use crate::log::batch::{Batch, Committed};
use crate::log::keeper::{Keeper, StoredEvent};

/// Which writes of a batch, `[type, id, expected]` each, are stale; then the position of the last event.
const LOOK: &str = "
    select w.key from json_each(?1) w
    where w.value ->> 2 <> coalesce((
        select max(e.sequence) from events e
        where e.aggregate_type = w.value ->> 0 and e.aggregate_id = w.value ->> 1
    ), 0)
    order by w.key;
    select coalesce(max(position), 0) from events";

/// Stores events, an array of the columns each; of payload and metadata, where they are in the [`PackedTexts`].
const INSERT: &str = "
    insert into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version,
        payload, metadata, event_id, recorded_at)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
        cast(substr(?2, value ->> 6, value ->> 7) as text), cast(substr(?2, value ->> 8, value ->> 9) as text),
        value ->> 10, value ->> 11
    from json_each(?1)";

/// Ends a column within a row. JSON has no such character, and what may have one comes last.
const SEPARATOR: char = '\u{1f}';

/// The columns that [`stored`] reads, as one text: the driver copies every value of a row by itself, and hands it from
/// thread to thread.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select concat_ws(char(31), position, aggregate_type, sequence, event_type, event_version, ",
            "payload, metadata, event_id, recorded_at, aggregate_id) from events ",
            $rest
        )
    };
}

/// The logs of some jobs, one after the other.
pub(crate) const JOB_LOGS: &str = select!(
    "where aggregate_type = 'job_log' and aggregate_id in (select value from json_each(?1))
     order by aggregate_id, sequence"
);

/// The table `events` of a SQLite database.
#[derive(Debug)]
pub(super) struct SqliteKeeper {
    database: SqliteDatabase,
}

impl SqliteKeeper {
    pub(super) fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

impl Keeper for SqliteKeeper {
    async fn commit(&self, batch: Batch<'_>) -> Result<Committed, StoreError> {
        let writes: Vec<_> = batch
            .writes()
            .map(|(_, write)| (write.stream.kind.as_str(), &write.stream.id, write.expected))
            .collect();
        let writes = serde_json::to_string(&writes)?;
        let mut transaction = self.database.begin(Durability::Synced).await?;
        let mut found: Vec<i64> =
            sqlx::query_scalar(LOOK).bind(writes).fetch_all(transaction.connection()).await?;
        let base = Position(found.pop().unwrap_or_default().try_into()?);
        let stale_writes: Vec<usize> = found.into_iter().map(usize::try_from).collect::<Result<_, _>>()?;
        let (rows, texts) = packed(batch, base, &stale_writes)?;
        sqlx::query(INSERT).bind(rows).bind(texts).execute(transaction.connection()).await?;
        transaction.commit().await?;
        Ok(Committed { base, stale_writes })
    }

    async fn read_stream(&self, stream: &StreamId, after: Version) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let rows = sqlx::query(select!(
            "where aggregate_type = ?1 and aggregate_id = ?2 and sequence > ?3 order by sequence"
        ))
        .bind(stream.kind.as_str())
        .bind(&stream.id)
        .bind(i64::try_from(after.0)?)
        .fetch_all(&self.database.readers)
        .await?;
        rows.iter().map(decode).collect()
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let rows = sqlx::query(select!("where position > ?1 order by position limit ?2"))
            .bind(i64::try_from(after.0)?)
            .bind(i64::try_from(limit)?)
            .fetch_all(&self.database.readers)
            .await?;
        rows.iter().map(decode).collect()
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let head: i64 = sqlx::query_scalar("select coalesce(max(position), 0) from events")
            .fetch_one(&self.database.readers)
            .await?;
        Ok(Position(head.try_into()?))
    }
}

/// The accepted events of a batch as [`INSERT`] takes them.
fn packed(
    batch: Batch<'_>,
    base: Position,
    stale_writes: &[usize],
) -> Result<(String, Vec<u8>), serde_json::Error> {
    let mut texts = PackedTexts::default();
    let rows: Vec<_> = (base.0 + 1..)
        .zip(batch.accepted(stale_writes))
        .map(|(position, (append, new))| {
            let envelope = &new.envelope;
            let (payload, payload_length) = texts.push(&new.payload);
            let (metadata, metadata_length) = texts.push(&append.metadata);
            (
                position,
                envelope.stream.kind.as_str(),
                &envelope.stream.id,
                envelope.sequence,
                envelope.event.event_type(),
                envelope.event.event_version().to_string(),
                payload,
                payload_length,
                metadata,
                metadata_length,
                envelope.event_id,
                envelope.recorded_at.timestamp_micros(),
            )
        })
        .collect();
    Ok((serde_json::to_string(&rows)?, texts.into_bytes()))
}

fn decode(row: &SqliteRow) -> Result<Arc<Envelope>, StoreError> {
    Ok(Arc::new(stored(row)?.decode()?))
}

pub(crate) fn stored(row: &SqliteRow) -> Result<StoredEvent<'_>, StoreError> {
    let mut columns = row.try_get::<&str, _>(0)?.splitn(10, SEPARATOR);
    let mut next = || columns.next().ok_or("an event with too few columns");
    Ok(StoredEvent {
        position: Position(next()?.parse()?),
        aggregate_type: next()?,
        sequence: Version(next()?.parse()?),
        event_type: next()?,
        event_version: next()?,
        payload: next()?,
        metadata: next()?,
        event_id: next()?.parse()?,
        recorded_at: DateTime::from_timestamp_micros(next()?.parse()?).ok_or("a time out of range")?,
        aggregate_id: next()?.to_owned(),
    })
}
