//! Deletes what is kept of jobs that are to be forgotten, and counts it.

use sqlx::{PgConnection, SqliteConnection};
use uuid::Uuid;

use super::reader::Archive;
use crate::database::Database;
use crate::envelope::Position;
use crate::id::JobId;
use crate::log::StoreError;

/// What was deleted of purged jobs since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Jobs.
    pub jobs: u64,
    /// Events that were in the log's tables.
    pub events: u64,
}

/// Some of the jobs that a purge is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doomed {
    /// Those that were deleted.
    pub jobs: Vec<JobId>,
    /// How many are to be forgotten, and have an event after the given position, or the last one of the log.
    pub later: usize,
}

/// What stands last is never deleted: its position would be given anew.
const HEAD: &str = "select coalesce(max(position), 0) from events";

/// Streams of jobs that the log says are to be forgotten, and where each ends.
const DOOMED_ON_POSTGRES: &str = "
    select aggregate_id, max(position) from events where aggregate_type = 'job' and aggregate_id = any($1)
    group by aggregate_id having bool_or(event_type = 'job.purged')";
const DOOMED_ON_SQLITE: &str = "
    select aggregate_id, max(position) from events
    where aggregate_type = 'job' and aggregate_id in (select value from json_each(?1))
    group by aggregate_id having max(event_type = 'job.purged') = 1";

const COUNT: &str = "
    insert into purged as p (id, jobs, events) values (1, $1, $2)
    on conflict (id) do update set jobs = p.jobs + excluded.jobs, events = p.events + excluded.events";

/// Deletes those of these jobs that are to be forgotten and have no event after `passed`, nor the last one of the log, as a
/// part of a transaction of `PostgreSQL`: their histories, their logs, and where these were archived.
pub async fn purge_on_postgres(
    connection: &mut PgConnection,
    jobs: &[JobId],
    passed: Position,
) -> Result<Doomed, StoreError> {
    let ids: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    let head: i64 = sqlx::query_scalar(HEAD).fetch_one(&mut *connection).await?;
    let streams = sqlx::query_as(DOOMED_ON_POSTGRES).bind(ids).fetch_all(&mut *connection).await?;
    let doomed = doomed(streams, passed, head)?;
    let ids: Vec<String> = doomed.jobs.iter().map(ToString::to_string).collect();
    let mut events = 0;
    for kind in ["job", "job_log"] {
        let deleted = sqlx::query("delete from events where aggregate_type = $1 and aggregate_id = any($2)")
            .bind(kind)
            .bind(&ids)
            .execute(&mut *connection)
            .await?;
        events += deleted.rows_affected();
    }
    let ids: Vec<Uuid> = doomed.jobs.iter().map(|job| job.as_uuid()).collect();
    sqlx::query("delete from archived_logs where job_id = any($1)")
        .bind(&ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query(COUNT)
        .bind(i64::try_from(ids.len())?)
        .bind(i64::try_from(events)?)
        .execute(connection)
        .await?;
    Ok(doomed)
}

/// The same on `SQLite`.
pub async fn purge_on_sqlite(
    connection: &mut SqliteConnection,
    jobs: &[JobId],
    passed: Position,
) -> Result<Doomed, StoreError> {
    let ids = serde_json::to_string(jobs)?;
    let head: i64 = sqlx::query_scalar(HEAD).fetch_one(&mut *connection).await?;
    let streams = sqlx::query_as(DOOMED_ON_SQLITE).bind(ids).fetch_all(&mut *connection).await?;
    let doomed = doomed(streams, passed, head)?;
    let ids = serde_json::to_string(&doomed.jobs)?;
    let mut events = 0;
    for kind in ["job", "job_log"] {
        let deleted = sqlx::query(
            "delete from events where aggregate_type = ?1 and aggregate_id in (select value from json_each(?2))",
        )
        .bind(kind)
        .bind(&ids)
        .execute(&mut *connection)
        .await?;
        events += deleted.rows_affected();
    }
    sqlx::query("delete from archived_logs where job_id in (select value from json_each(?1))")
        .bind(ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query(COUNT)
        .bind(i64::try_from(doomed.jobs.len())?)
        .bind(i64::try_from(events)?)
        .execute(connection)
        .await?;
    Ok(doomed)
}

fn doomed(streams: Vec<(String, i64)>, passed: Position, head: i64) -> Result<Doomed, StoreError> {
    let (now, later): (Vec<_>, Vec<_>) =
        streams.into_iter().partition(|(_, last)| *last < head && last.unsigned_abs() <= passed.0);
    let jobs = now.iter().map(|(id, _)| id.parse()).collect::<Result<_, _>>()?;
    Ok(Doomed { jobs, later: later.len() })
}

impl Archive {
    /// What was deleted of purged jobs since the beginning.
    pub async fn purged(&self) -> Result<Purged, StoreError> {
        const TEXT: &str = "select jobs, events from purged";
        let row: Option<(i64, i64)> = match self.database() {
            Database::Postgres(pool) => sqlx::query_as(TEXT).fetch_optional(pool).await?,
            Database::Sqlite(sqlite) => sqlx::query_as(TEXT).fetch_optional(&sqlite.readers).await?,
        };
        let purged =
            |(jobs, events): (i64, i64)| Purged { jobs: jobs.unsigned_abs(), events: events.unsigned_abs() };
        Ok(row.map(purged).unwrap_or_default())
    }

    /// Whether a segment holds the log of a job that is kept.
    pub async fn is_needed(&self, segment: u64) -> Result<bool, StoreError> {
        const TEXT: &str = "select exists (select 1 from archived_logs where segment = $1)";
        let segment = i64::try_from(segment)?;
        Ok(match self.database() {
            Database::Postgres(pool) => sqlx::query_scalar(TEXT).bind(segment).fetch_one(pool).await?,
            Database::Sqlite(sqlite) => {
                sqlx::query_scalar(TEXT).bind(segment).fetch_one(&sqlite.readers).await?
            }
        })
    }
}
