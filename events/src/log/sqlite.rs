//! Keeps events in the one SQLite file of the one process.

use std::mem;
use std::sync::Arc;

use chrono::DateTime;
use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Row};

use crate::database::{Durability, PackedTexts, SqliteDatabase};
use crate::envelope::{Envelope, Position, StreamId, Version};
use crate::log::StoreError;
use crate::log::batch::{self, Attempt, Batch, Committed, Write};
use crate::log::keeper::{Keeper, StoredEvent};

/// That the stream of a write is not at the version expected.
macro_rules! stale {
    () => {
        "w.value ->> 2 <> coalesce((
            select max(e.sequence) from events e
            where e.aggregate_type = w.value ->> 0 and e.aggregate_id = w.value ->> 1
        ), 0)"
    };
}

/// Stores events, an array of the columns each (of payload and metadata, where they are in the [`PackedTexts`]), if none
/// of these writes, `[type, id, expected]` each, is stale. How many were stored, and the position of the last one.
///
/// `or rollback`: else SQLite would keep a copy of each page that it changes, to undo that statement alone.
const APPEND: &str = concat!(
    "insert or rollback into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version,
        payload, metadata, event_id, recorded_at)
    select (select coalesce(max(position), 0) from events) + key + 1,
        value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
        cast(substr(?2, value ->> 5, value ->> 6) as text), cast(substr(?2, value ->> 7, value ->> 8) as text),
        value ->> 9, value ->> 10
    from json_each(?1) where not exists (select 1 from json_each(?3) w where ",
    stale!(),
    ");
    select changes(), (select coalesce(max(position), 0) from events)"
);

/// Which of these writes are stale: 0 for the first, ascending.
const STALE_WRITES: &str = concat!("select w.key from json_each(?1) w where ", stale!(), " order by w.key");

/// Ends a column within a text. JSON has no such character, and what may have one comes last, after its length.
const SEPARATOR: char = '\u{1f}';

/// What [`Texts`] reads: the driver copies every value of a row by itself, and hands it from thread to thread.
macro_rules! text {
    () => {
        "concat_ws(char(31), position, aggregate_type, sequence, event_type, event_version,
            payload, metadata, event_id, recorded_at, octet_length(aggregate_id), aggregate_id)"
    };
}

/// Events, one a row.
macro_rules! select {
    ($rest:literal) => {
        concat!("select ", text!(), " from events ", $rest)
    };
}

/// All events of a range of positions, by the 32 in a row, which are far from the longest text that there may be.
const RANGE: &str = concat!(
    "with recursive part(after) as (select ?1 union all select after + 32 from part where after + 32 < ?2)
    select (
        select group_concat(event, '') from (
            select ",
    text!(),
    " as event from events
            where position > part.after and position <= min(part.after + 32, ?2)
            order by position
        )
    ) from part"
);

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
        batch::commit(SqliteAttempt { database: &self.database, batch }).await
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

    async fn read_range(&self, after: Position, until: Position) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let mut rows = sqlx::query(RANGE)
            .bind(i64::try_from(after.0)?)
            .bind(i64::try_from(until.0)?)
            .fetch(&self.database.readers);
        let mut events = Vec::new();
        while let Some(row) = rows.try_next().await? {
            // There is none where all events of the part were archived.
            for event in row.try_get::<Option<&str>, _>(0)?.into_iter().flat_map(Texts) {
                events.push(Arc::new(event?.decode()?));
            }
        }
        events.sort_by_key(|envelope| envelope.position);
        Ok(events)
    }

    async fn read_at(&self, positions: &[Position]) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let rows =
            sqlx::query(select!("where position in (select value from json_each(?1)) order by position"))
                .bind(serde_json::to_string(positions)?)
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

/// A batch on its way into the file.
struct SqliteAttempt<'a> {
    database: &'a SqliteDatabase,
    batch: Batch<'a>,
}

impl Attempt for SqliteAttempt<'_> {
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

/// The streams of some writes, and the versions that they are expected at.
fn streams<'a>(writes: impl Iterator<Item = &'a Write>) -> Result<String, serde_json::Error> {
    let stream = |write: &'a Write| (write.stream.kind.as_str(), &write.stream.id, write.expected);
    serde_json::to_string(&writes.map(stream).collect::<Vec<_>>())
}

/// The accepted events of a batch as [`APPEND`] takes them, and how many they are.
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

fn decode(row: &SqliteRow) -> Result<Arc<Envelope>, StoreError> {
    Ok(Arc::new(stored(row)?.decode()?))
}

pub(crate) fn stored(row: &SqliteRow) -> Result<StoredEvent<'_>, StoreError> {
    Texts(row.try_get(0)?).next().ok_or("a row without an event")?
}

/// The events in a text.
struct Texts<'r>(&'r str);

impl<'r> Iterator for Texts<'r> {
    type Item = Result<StoredEvent<'r>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = mem::take(&mut self.0);
        (!text.is_empty()).then(|| {
            let (event, rest) = first_of(text)?;
            self.0 = rest;
            Ok(event)
        })
    }
}

/// The first event in a text, and what comes after it.
fn first_of(text: &str) -> Result<(StoredEvent<'_>, &str), StoreError> {
    let mut columns = text.splitn(11, SEPARATOR);
    let mut next = || columns.next().ok_or("an event with too few columns");
    let position = Position(next()?.parse()?);
    let aggregate_type = next()?;
    let sequence = Version(next()?.parse()?);
    let (event_type, event_version) = (next()?, next()?);
    let (payload, metadata) = (next()?, next()?);
    let event_id = next()?.parse()?;
    let recorded_at = DateTime::from_timestamp_micros(next()?.parse()?).ok_or("a time out of range")?;
    let id_length = next()?.parse()?;
    let (aggregate_id, rest) = next()?.split_at_checked(id_length).ok_or("an event that ends early")?;
    let event = StoredEvent {
        position,
        aggregate_type,
        aggregate_id: aggregate_id.to_owned(),
        sequence,
        event_type,
        event_version,
        payload,
        metadata,
        event_id,
        recorded_at,
    };
    Ok((event, rest))
}
