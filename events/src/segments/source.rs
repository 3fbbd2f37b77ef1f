//! What there is to archive, as the log's table has it.

use futures_util::TryStreamExt;

use super::format::{SegmentError, SegmentWriter, StoredEvent};
use super::reader::Archive;
use crate::database::Database;
use crate::envelope::Position;
use crate::id::JobId;
use crate::log::{StoreError, postgres, sqlite};

/// Jobs that have ended, which each does once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedJobs {
    /// Them, in the order in which they ended.
    pub ids: Vec<JobId>,
    /// The log was looked through up to here.
    pub through: Position,
}

/// Positions that are looked through in one statement, so that none takes long, however rare ends are.
const WINDOW: u64 = 50_000;

/// Why logs were not gathered.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// A log cannot be part of a segment.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The database did not answer.
    #[error("the log cannot be read")]
    Unavailable(#[source] StoreError),
}

impl From<sqlx::Error> for GatherError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

/// By the type alone, so that the log is read in the order of its positions: no index has the types.
const ENDED: &str = "
    select aggregate_id, position from events
    where position > $1 and position <= $2 and event_type in ('job.completed', 'job.cancelled', 'job.timed_out')
    order by position limit $3";

impl Archive {
    /// Some jobs whose end is recorded after a position and up to another one, so many at most; none where there is
    /// none.
    pub async fn ended_jobs(
        &self,
        after: Position,
        until: Position,
        limit: usize,
    ) -> Result<EndedJobs, StoreError> {
        let mut through = after;
        while through < until {
            let end = Position(until.0.min(through.0 + WINDOW));
            let ended = self.ended_within(through, end, limit).await?;
            if !ended.ids.is_empty() {
                return Ok(ended);
            }
            through = end;
        }
        Ok(EndedJobs { ids: Vec::new(), through })
    }

    async fn ended_within(
        &self,
        after: Position,
        until: Position,
        limit: usize,
    ) -> Result<EndedJobs, StoreError> {
        let end = until;
        let (after, until, limit) = (i64::try_from(after.0)?, i64::try_from(until.0)?, i64::try_from(limit)?);
        let rows: Vec<(String, i64)> = match self.database() {
            Database::Postgres(pool) => {
                sqlx::query_as(ENDED).bind(after).bind(until).bind(limit).fetch_all(pool).await?
            }
            Database::Sqlite(sqlite) => {
                sqlx::query_as(ENDED).bind(after).bind(until).bind(limit).fetch_all(&sqlite.readers).await?
            }
        };
        // There may be more where there are as many as were asked for.
        let last = rows
            .last()
            .filter(|_| i64::try_from(rows.len()).is_ok_and(|found| found >= limit))
            .map(|(_, position)| position.unsigned_abs());
        let ids = rows.iter().map(|(id, _)| id.parse()).collect::<Result<_, _>>()?;
        Ok(EndedJobs { ids, through: last.map_or(end, Position) })
    }

    /// Adds to a segment what the log's table has of these jobs' logs, event by event: a log may be larger than memory.
    ///
    /// # Errors
    /// [`SegmentError::Unreadable`] names a log that cannot be part of a segment.
    pub async fn gather(&self, jobs: &[JobId], into: &mut SegmentWriter) -> Result<(), GatherError> {
        let ids: Vec<String> = jobs.iter().map(ToString::to_string).collect();
        match self.database() {
            Database::Postgres(pool) => {
                let mut rows = sqlx::query(postgres::JOB_LOGS).bind(&ids).fetch(pool);
                while let Some(row) = rows.try_next().await? {
                    let stored = postgres::stored(&row).and_then(StoredEvent::of);
                    into.push(&stored.map_err(GatherError::Unavailable)?)?;
                }
            }
            Database::Sqlite(sqlite) => {
                let ids = serde_json::to_string(&ids).expect("invariant: texts are JSON");
                let mut rows = sqlx::query(sqlite::JOB_LOGS).bind(ids).fetch(&sqlite.readers);
                while let Some(row) = rows.try_next().await? {
                    let stored = sqlite::stored(&row).and_then(StoredEvent::of);
                    into.push(&stored.map_err(GatherError::Unavailable)?)?;
                }
            }
        }
        Ok(())
    }
}
