//! Keeps events in a SQLite file, which one server opens, and now and then a command beside it.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::database::SqliteDatabase;
use crate::envelope::{Envelope, Position, Version};
use crate::log::StoreError;
use crate::log::batch::{self, Batch, Committed};
use crate::log::keeper::{EventRow, Keeper, Range, to_sql};
use crate::log::writer::raise;
use crate::stream::StreamId;
use append::SqliteBatch;

mod append;

/// Ends a column within a text. Columns that may contain this character come last, each with its length given before.
const SEPARATOR: char = '\u{1f}';

/// A row as one text, which [`Texts`] parses. The driver copies each value of a row by itself and sends it from its thread
/// to ours: one value a row is cheaper than ten.
macro_rules! text {
    () => {
        "concat_ws(char(31), position, aggregate_type, sequence, event_type, event_version, event_id, recorded_at,
            octet_length(aggregate_id), octet_length(payload), octet_length(metadata),
            aggregate_id, payload, metadata)"
    };
}

/// Selects events, one in each row.
macro_rules! select {
    ($rest:literal) => {
        concat!("select ", text!(), " from events ", $rest)
    };
}

/// The events of a range that fit its bounds, 32 positions concatenated in each row: fewer rows are cheaper, and so many
/// events stay far below SQLite's longest text. Each row begins at an event, however many were taken out before it.
///
/// Measuring reads no payload: SQLite stores the length of a value in the header of its row. Only where not all events
/// fit are they summed up one by one, which takes longer; so does a copy of `next`.
const RANGE: &str = concat!(
    "with recursive next as not materialized (
        select position, octet_length(payload) as bytes from events where position > ?1 and position <= ?2
        order by position limit ?3
    ), part(first, last) as (
        select min(position), case when sum(bytes) <= ?4 then max(position) else (
            select max(position) from (
                select position, bytes, sum(bytes) over (order by position rows unbounded preceding) as total
                from next
            ) where total <= ?4 or total = bytes
        ) end from next
        union all
        select (select min(position) from events where position >= first + 32), last
        from part where first + 32 <= last
    )
    select (
        select group_concat(event, '') from (
            select ",
    text!(),
    " as event from events
            where position >= part.first and position <= min(part.first + 31, part.last)
            order by position
        )
    ) from part where first is not null"
);

/// All events of the logs of some jobs, one job after the other.
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
        batch::commit(SqliteBatch { database: &self.database, batch }).await
    }

    async fn read_stream(&self, stream: &StreamId, after: Version) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let rows = sqlx::query(select!(
            "where aggregate_type = ?1 and aggregate_id = ?2 and sequence > ?3 order by sequence"
        ))
        .bind(stream.kind.as_str())
        .bind(&stream.id)
        .bind(after.to_sql())
        .fetch_all(&self.database.readers)
        .await?;
        rows.iter().map(decode).collect()
    }

    async fn read_stream_end(
        &self,
        stream: &StreamId,
        until: Version,
        count: usize,
    ) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let rows = sqlx::query(select!(
            "where aggregate_type = ?1 and aggregate_id = ?2 and sequence <= ?3 order by sequence desc limit ?4"
        ))
        .bind(stream.kind.as_str())
        .bind(&stream.id)
        .bind(until.to_sql())
        .bind(i64::try_from(count)?)
        .fetch_all(&self.database.readers)
        .await?;
        rows.iter().rev().map(decode).collect()
    }

    async fn read_range(&self, range: Range) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let mut rows = sqlx::query(RANGE)
            .bind(range.after.to_sql())
            .bind(range.until.to_sql())
            .bind(to_sql(range.limit))
            .bind(to_sql(range.bytes))
            .fetch(&self.database.readers);
        let mut events = Vec::new();
        while let Some(row) = rows.try_next().await? {
            for event in Texts(row.try_get(0)?) {
                events.push(Arc::new(event?.decode()));
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
        Ok(Position::from_sql(head))
    }

    /// Only commands beside the server append here, and seldom: a poll is enough.
    async fn follow_others(
        self: Arc<Self>,
        head: Arc<watch::Sender<Position>>,
        poll_interval: Duration,
        stop: CancellationToken,
    ) {
        while timeout(poll_interval, stop.cancelled()).await.is_err() {
            match self.head().await {
                Ok(position) => raise(&head, position),
                Err(error) => tracing::debug!(error, "following other processes was interrupted"),
            }
        }
    }
}

fn decode(row: &SqliteRow) -> Result<Arc<Envelope>, StoreError> {
    Ok(Arc::new(stored(row)?.decode()))
}

pub(crate) fn stored(row: &SqliteRow) -> Result<EventRow<'_>, StoreError> {
    Texts(row.try_get(0)?).next().ok_or("a row without an event")?
}

/// Parses the events of a text.
struct Texts<'r>(&'r str);

impl<'r> Iterator for Texts<'r> {
    type Item = Result<EventRow<'r>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = mem::take(&mut self.0);
        (!text.is_empty()).then(|| {
            let (event, rest) = first_of(text)?;
            self.0 = rest;
            Ok(event)
        })
    }
}

/// The first event of a text, and the rest of the text.
fn first_of(mut text: &str) -> Result<(EventRow<'_>, &str), StoreError> {
    let mut next = || {
        let (column, rest) = text.split_once(SEPARATOR).ok_or("an event with too few columns")?;
        text = rest;
        Ok::<_, StoreError>(column)
    };
    let position = Position(next()?.parse()?);
    let aggregate_type = next()?;
    let sequence = Version(next()?.parse()?);
    let (event_type, event_version) = (next()?, next()?);
    let event_id = next()?.parse()?;
    let recorded_at = DateTime::from_timestamp_micros(next()?.parse()?).ok_or("a time out of range")?;
    let lengths: [usize; 3] = [next()?.parse()?, next()?.parse()?, next()?.parse()?];
    let [aggregate_id, payload, metadata] = lengths.map(|length| cut(&mut text, length));
    let event = EventRow {
        position,
        aggregate_type,
        aggregate_id: aggregate_id?.to_owned(),
        sequence,
        event_type,
        event_version,
        payload: payload?,
        metadata: metadata?,
        event_id,
        recorded_at,
    };
    Ok((event, text))
}

/// Takes a column of a known length off a text, and the separator after it, if there is one.
fn cut<'r>(text: &mut &'r str, length: usize) -> Result<&'r str, StoreError> {
    let (column, rest) = text.split_at_checked(length).ok_or("an event that ends early")?;
    *text = rest.strip_prefix(SEPARATOR).unwrap_or(rest);
    Ok(column)
}
