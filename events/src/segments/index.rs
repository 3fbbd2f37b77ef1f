//! The index of the archive: which blocks of which segments hold the log of a job.
//!
//! [`Release`] moves events out of the log's table: it writes the index and deletes the events in one transaction, so
//! each event is always in one of the two places.

use std::ops::Range;

use sqlx::{PgConnection, SqliteConnection};
use uuid::Uuid;

use super::format::{Block, SegmentError};
use crate::database::Database;
use crate::id::JobId;
use crate::log::StoreError;

/// Most blocks that one query returns.
const PAGE: i64 = 32;

/// Where a block is that holds a part of a log: the name of its segment's object, and its range of bytes in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockPlace {
    pub(super) object: String,
    pub(super) place: Range<u64>,
}

type PlaceRow = (String, i64, i64);

fn block_place((object, offset, length): PlaceRow) -> BlockPlace {
    BlockPlace { object, place: offset.unsigned_abs()..offset.saturating_add(length).unsigned_abs() }
}

/// Runs the same SQL on either database; only the type of the job's id differs.
macro_rules! select {
    ($database:expr, $text:literal, $job:expr, $after:expr) => {
        match $database {
            Database::Postgres(pool) => {
                sqlx::query_as($text).bind($job.as_uuid()).bind($after).bind(PAGE).fetch_all(pool).await?
            }
            Database::Sqlite(sqlite) => {
                let job = $job.to_string();
                sqlx::query_as($text).bind(job).bind($after).bind(PAGE).fetch_all(&sqlite.readers).await?
            }
        }
    };
}

/// The blocks of a job's log that have events after a sequence, in order, up to [`PAGE`] of them.
pub(super) async fn after_sequence(
    database: &Database,
    job: JobId,
    sequence: u64,
) -> Result<Vec<BlockPlace>, StoreError> {
    let after = i64::try_from(sequence)?;
    let rows: Vec<PlaceRow> = select!(
        database,
        "select object, block_offset, block_length from archived_logs join archive_segments using (segment)
         where job_id = $1 and last_sequence > $2 order by first_index limit $3",
        job,
        after
    );
    Ok(rows.into_iter().map(block_place).collect())
}

/// The blocks of a job's log, in order, from the one that may hold the entry after an index; up to [`PAGE`] of them.
pub(super) async fn after_index(
    database: &Database,
    job: JobId,
    index: u64,
) -> Result<Vec<BlockPlace>, StoreError> {
    let next = i64::try_from(index.saturating_add(1)).unwrap_or(i64::MAX);
    let rows: Vec<PlaceRow> = select!(
        database,
        "select object, block_offset, block_length from archived_logs join archive_segments using (segment)
         where job_id = $1 and first_index >= coalesce((
             select max(first_index) from archived_logs where job_id = $1 and first_index <= $2
         ), 0) order by first_index limit $3",
        job,
        next
    );
    Ok(rows.into_iter().map(block_place).collect())
}

/// The last block of a job's log.
pub(super) async fn last(database: &Database, job: JobId) -> Result<Option<BlockPlace>, StoreError> {
    let rows: Vec<PlaceRow> = select!(
        database,
        "select object, block_offset, block_length from archived_logs join archive_segments using (segment)
         where job_id = $1 and first_index > $2 order by first_index desc limit $3",
        job,
        0_i64
    );
    Ok(rows.into_iter().next().map(block_place))
}

/// The release of some blocks of a segment: their events are deleted from the log's table, and the index is written.
#[derive(Debug)]
pub struct Release<'a> {
    /// The segment.
    segment: i64,
    /// The name of its object in the store.
    object: &'a str,
    parts: Vec<Part>,
    positions: Vec<i64>,
    batches: Vec<(JobId, u64)>,
}

/// The part of a log that is in one block.
#[derive(Debug)]
struct Part {
    job: Uuid,
    first_index: i64,
    first_sequence: i64,
    last_sequence: i64,
    offset: i64,
    length: i64,
}

impl<'a> Release<'a> {
    /// Prepares the release of these blocks of a segment.
    ///
    /// # Errors
    /// If an event in them is not a batch of log entries.
    pub fn of(segment: u64, object: &'a str, blocks: &[Block]) -> Result<Self, SegmentError> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (mut parts, mut positions, mut batches): (Vec<Part>, _, _) = (Vec::new(), Vec::new(), Vec::new());
        for Block { place, events } in blocks {
            let offset = number(place.start);
            for event in events {
                let batch = event.batch()?;
                let (job, sequence) = (batch.job_id.as_uuid(), number(event.sequence.0));
                positions.push(number(event.position.0));
                batches.push((batch.job_id, batch.first_index));
                match parts.last_mut().filter(|last| last.job == job && last.offset == offset) {
                    Some(part) => part.last_sequence = sequence,
                    None => parts.push(Part {
                        job,
                        first_index: number(batch.first_index),
                        first_sequence: sequence,
                        last_sequence: sequence,
                        offset,
                        length: number(place.end - place.start),
                    }),
                }
            }
        }
        Ok(Self { segment: number(segment), object, parts, positions, batches })
    }

    /// The batches of log entries in the blocks, each as its job and the index of its first entry.
    #[must_use]
    pub fn batches(&self) -> &[(JobId, u64)] {
        &self.batches
    }

    fn column<T>(&self, of: impl Fn(&Part) -> T) -> Vec<T> {
        self.parts.iter().map(of).collect()
    }

    /// Performs the release as part of a PostgreSQL transaction. Repeating it does no harm.
    pub async fn on_postgres(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        sqlx::query("insert into archive_segments values ($1, $2) on conflict do nothing")
            .bind(self.segment)
            .bind(self.object)
            .execute(&mut *connection)
            .await?;
        sqlx::query(
            "insert into archived_logs
             select job_id, first_index, first_sequence, last_sequence, $7, block_offset, block_length
             from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
                 as p (job_id, first_index, first_sequence, last_sequence, block_offset, block_length)
             on conflict do nothing",
        )
        .bind(self.column(|part| part.job))
        .bind(self.column(|part| part.first_index))
        .bind(self.column(|part| part.first_sequence))
        .bind(self.column(|part| part.last_sequence))
        .bind(self.column(|part| part.offset))
        .bind(self.column(|part| part.length))
        .bind(self.segment)
        .execute(&mut *connection)
        .await?;
        sqlx::query("delete from events where position = any($1) and aggregate_type = 'job_log'")
            .bind(&self.positions)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Performs the release as part of a SQLite transaction. Repeating it does no harm.
    pub async fn on_sqlite(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query("insert into archive_segments values (?1, ?2) on conflict do nothing")
            .bind(self.segment)
            .bind(self.object)
            .execute(&mut *connection)
            .await?;
        let parts = self.column(|part| {
            let Part { job, first_index, first_sequence, last_sequence, offset, length } = part;
            (job.to_string(), *first_index, *first_sequence, *last_sequence, *offset, *length)
        });
        sqlx::query(
            "insert into archived_logs
             select part ->> 0, part ->> 1, part ->> 2, part ->> 3, ?2, part ->> 4, part ->> 5
             from (select value as part from json_each(?1) limit -1) where true
             on conflict do nothing",
        )
        .bind(serde_json::to_string(&parts)?)
        .bind(self.segment)
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "delete from events
             where position in (select value from json_each(?1)) and +aggregate_type = 'job_log'",
        )
        .bind(serde_json::to_string(&self.positions)?)
        .execute(connection)
        .await?;
        Ok(())
    }
}
