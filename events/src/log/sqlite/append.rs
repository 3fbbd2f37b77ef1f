//! Stores a batch in SQLite: two statements over JSON arrays, in one transaction, with one wake-up of the thread
//! that drives the connection.

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, Row as _};

use crate::database::{Durability, PackedTexts, SqliteDatabase};
use crate::envelope::Position;
use crate::log::StoreError;
use crate::log::batch::{Batch, StoreBatch, Write};

/// A condition: the stream of the write `w` is not at its expected version.
macro_rules! stale {
    () => {
        "w.value ->> 2 <> coalesce((
            select max(e.sequence) from events e
            where e.aggregate_type = w.value ->> 0 and e.aggregate_id = w.value ->> 1
        ), 0)"
    };
}

/// Stores events unless a write is stale. Each event is an array of its columns, with the start and length of payload
/// and metadata in the [`PackedTexts`]; each write is `[type, id, expected]`. Selects how many events were stored,
/// and the position of the last one.
///
/// Without `or rollback`, SQLite would keep a copy of each page that it changes, to be able to undo this statement
/// alone. Without `limit`, it would serialise and parse the JSON of an event again for each of its columns.
const APPEND: &str = concat!(
    "insert or rollback into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version,
        payload, metadata, event_id, recorded_at)
    select (select coalesce(max(position), 0) from events) + key + 1,
        event ->> 0, event ->> 1, event ->> 2, event ->> 3, event ->> 4,
        cast(substr(?2, event ->> 5, event ->> 6) as text), cast(substr(?2, event ->> 7, event ->> 8) as text),
        event ->> 9, event ->> 10
    from (select key, value as event from json_each(?1) limit -1) where not exists (select 1 from json_each(?3) w where ",
    stale!(),
    ");
    select changes(), (select coalesce(max(position), 0) from events)"
);

/// Selects the stale ones of these writes, counted from 0, ascending.
const STALE_WRITES: &str = concat!("select w.key from json_each(?1) w where ", stale!(), " order by w.key");

/// A batch on its way into the file.
pub(super) struct SqliteBatch<'a> {
    pub(super) database: &'a SqliteDatabase,
    pub(super) batch: Batch<'a>,
}

impl StoreBatch for SqliteBatch<'_> {
    async fn append(&mut self, stale_writes: &[usize]) -> Result<Option<Position>, StoreError> {
        let (rows, texts, count) = packed(self.batch, stale_writes)?;
        let mut args = SqliteArguments::default();
        args.add(rows)?;
        args.add(texts)?;
        args.add(streams(self.batch.looked_up(stale_writes))?)?;
        let stored = match self.database.transact(Durability::Synced, APPEND, args).await {
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => return Ok(None),
            stored => stored?,
        };
        let stored = stored.first().ok_or(sqlx::Error::RowNotFound)?;
        let (stored, head): (u64, u64) = (stored.try_get(0)?, stored.try_get(1)?);
        Ok((stored == count).then(|| Position(head - count)))
    }

    async fn find_stale_writes(&mut self) -> Result<Vec<usize>, StoreError> {
        let places: Vec<i64> = sqlx::query_scalar(STALE_WRITES)
            .bind(streams(self.batch.writes().map(|(_, write)| write))?)
            .fetch_all(&self.database.readers)
            .await?;
        Ok(places.into_iter().map(usize::try_from).collect::<Result<_, _>>()?)
    }
}

/// The streams of some writes with their expected versions, as JSON.
fn streams<'a>(writes: impl Iterator<Item = &'a Write>) -> Result<String, serde_json::Error> {
    let stream = |write: &'a Write| (write.stream.kind.as_str(), &write.stream.id, write.expected);
    serde_json::to_string(&writes.map(stream).collect::<Vec<_>>())
}

/// The accepted events of a batch as [`APPEND`] takes them, and their number.
fn packed(batch: Batch<'_>, stale_writes: &[usize]) -> Result<(String, Vec<u8>, u64), serde_json::Error> {
    let mut texts = PackedTexts::default();
    let rows: Vec<_> = batch
        .accepted(stale_writes)
        .map(|(append, new)| {
            let envelope = &new.envelope;
            let (payload, payload_length) = texts.push(&new.payload);
            let (metadata, metadata_length) = texts.push(&append.metadata);
            (
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
    Ok((serde_json::to_string(&rows)?, texts.into_bytes(), rows.len() as u64))
}
