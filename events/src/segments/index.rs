//! The index of the archive: which blocks of which segments hold the log of a job.

use std::fmt;
use std::ops::Range;

use super::reader::Archive;
use crate::database::{Database, fetch};
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

/// The blocks that a query finds, up to [`PAGE`] of them. Its arguments are the job, a number, and how many it may find.
async fn find(
    database: &Database,
    query: &str,
    job: JobId,
    after: i64,
) -> Result<Vec<BlockPlace>, StoreError> {
    let rows: Vec<PlaceRow> = match database {
        Database::Postgres(postgres) => {
            let query = sqlx::query_as(query).bind(job.as_uuid()).bind(after).bind(PAGE);
            postgres.answer(query.fetch_all(&postgres.pool)).await?
        }
        Database::Sqlite(sqlite) => {
            let query = sqlx::query_as(query).bind(job.to_string()).bind(after).bind(PAGE);
            query.fetch_all(&sqlite.readers).await?
        }
    };
    Ok(rows.into_iter().map(block_place).collect())
}

/// The blocks of a job's log that have events after a sequence, in order, up to [`PAGE`] of them.
pub(super) async fn after_sequence(
    database: &Database,
    job: JobId,
    sequence: u64,
) -> Result<Vec<BlockPlace>, StoreError> {
    const TEXT: &str =
        "select object, block_offset, block_length from archived_logs join archive_segments using (segment)
         where job_id = $1 and last_sequence > $2 order by first_index limit $3";
    find(database, TEXT, job, i64::try_from(sequence)?).await
}

/// The blocks of a job's log, in order, from the one that may hold the entry after an index; up to [`PAGE`] of them.
pub(super) async fn after_index(
    database: &Database,
    job: JobId,
    index: u64,
) -> Result<Vec<BlockPlace>, StoreError> {
    const TEXT: &str =
        "select object, block_offset, block_length from archived_logs join archive_segments using (segment)
         where job_id = $1 and first_index >= coalesce((
             select max(first_index) from archived_logs where job_id = $1 and first_index <= $2
         ), 0) order by first_index limit $3";
    find(database, TEXT, job, i64::try_from(index.saturating_add(1)).unwrap_or(i64::MAX)).await
}

/// The last block of a job's log.
pub(super) async fn last(database: &Database, job: JobId) -> Result<Option<BlockPlace>, StoreError> {
    const TEXT: &str =
        "select object, block_offset, block_length from archived_logs join archive_segments using (segment)
         where job_id = $1 and first_index > $2 order by first_index desc limit $3";
    Ok(find(database, TEXT, job, 0).await?.into_iter().next())
}

/// The part of a log that is in one block, as the index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The job.
    pub job: JobId,
    /// The index of its first log entry in the block.
    pub first_index: i64,
    /// The sequence of its first event in the block.
    pub first_sequence: i64,
    /// The sequence of its last event in the block.
    pub last_sequence: i64,
    /// Where the block is in the segment, in bytes.
    pub offset: i64,
    /// How long it is, in bytes.
    pub length: i64,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, first_index, first_sequence, last_sequence, offset, length } = self;
        write!(
            f,
            "events {first_sequence} to {last_sequence} of job_log/{job}, from entry {first_index} on, in {length} bytes from byte {offset} on"
        )
    }
}

impl Archive {
    /// What the index has of a segment with this number and object, as readers of logs find it.
    pub async fn indexed(&self, segment: u64, object: &str) -> Result<Vec<Part>, StoreError> {
        const TEXT: &str =
            "select cast(job_id as text), first_index, first_sequence, last_sequence, block_offset, block_length
             from archived_logs join archive_segments using (segment) where segment = $1 and object = $2";
        let number = i64::try_from(segment)?;
        let rows: Vec<(String, i64, i64, i64, i64, i64)> =
            fetch!(self.database(), fetch_all, sqlx::query_as(TEXT).bind(number).bind(object))?;
        let part =
            |(job, first_index, first_sequence, last_sequence, offset, length): (String, _, _, _, _, _)| {
                Ok(Part { job: job.parse()?, first_index, first_sequence, last_sequence, offset, length })
            };
        rows.into_iter().map(part).collect()
    }
}
