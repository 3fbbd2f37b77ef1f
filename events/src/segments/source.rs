//! Finds what there is to archive in the log's table: ended jobs, and the events of their logs.

use futures_util::TryStreamExt;

use super::format::{SegmentError, SegmentWriter, StoredEvent};
use super::reader::Archive;
use crate::database::Database;
use crate::envelope::Position;
use crate::id::JobId;
use crate::log::{StoreError, postgres, sqlite};

/// Some jobs that have ended. A job ends only once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedJobs {
    /// The jobs, in the order in which they ended.
    pub ids: Vec<JobId>,
    /// The log was searched up to here.
    pub through: Position,
}

/// Positions that one statement searches, so that none takes long, however rare ends are.
const WINDOW: u64 = 50_000;

/// Why logs were not gathered.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// An event of a log cannot be part of a segment.
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

/// Filters by the type of event alone. No index has that, so the database reads the log in the order of positions.
pub(crate) const ENDED: &str = "
    select aggregate_id, position from events
    where position > $1 and position <= $2 and event_type in ('job.completed', 'job.cancelled', 'job.timed_out')
    order by position limit $3";

impl Archive {
    /// The first jobs whose end is recorded after `after` and up to `until`, at most `limit` of them.
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
        let (after, until, limit) = (after.to_sql(), until.to_sql(), i64::try_from(limit)?);
        let rows: Vec<(String, i64)> = match self.database() {
            Database::Postgres(postgres) => {
                sqlx::query_as(ENDED).bind(after).bind(until).bind(limit).fetch_all(&postgres.pool).await?
            }
            Database::Sqlite(sqlite) => {
                sqlx::query_as(ENDED).bind(after).bind(until).bind(limit).fetch_all(&sqlite.readers).await?
            }
        };
        // With as many as were asked for, there may be more after the last of them.
        let last = rows
            .last()
            .filter(|_| i64::try_from(rows.len()).is_ok_and(|found| found >= limit))
            .map(|(_, position)| Position::from_sql(*position));
        let ids = rows.iter().map(|(id, _)| id.parse()).collect::<Result<_, _>>()?;
        Ok(EndedJobs { ids, through: last.unwrap_or(end) })
    }

    /// Adds the logs of these jobs to a segment, as far as the log's table has them. Works event by event, since a
    /// log may be larger than memory.
    ///
    /// # Errors
    /// [`SegmentError::Unreadable`] names a log that cannot be part of a segment.
    pub async fn gather(&self, jobs: &[JobId], into: &mut SegmentWriter) -> Result<(), GatherError> {
        let ids: Vec<String> = jobs.iter().map(ToString::to_string).collect();
        match self.database() {
            Database::Postgres(postgres) => {
                let mut rows = sqlx::query(postgres::JOB_LOGS).bind(&ids).fetch(&postgres.pool);
                while let Some(row) = rows.try_next().await? {
                    let stored = postgres::stored(&row).map_err(GatherError::Unavailable)?;
                    into.push(&StoredEvent::of(stored)?)?;
                }
            }
            Database::Sqlite(sqlite) => {
                let ids = serde_json::to_string(&ids).expect("invariant: texts are JSON");
                let mut rows = sqlx::query(sqlite::JOB_LOGS).bind(ids).fetch(&sqlite.readers);
                while let Some(row) = rows.try_next().await? {
                    let stored = sqlite::stored(&row).map_err(GatherError::Unavailable)?;
                    into.push(&StoredEvent::of(stored)?)?;
                }
            }
        }
        Ok(())
    }
}
