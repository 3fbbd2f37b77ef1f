//! Deletes the events and archived logs of jobs that are to be purged, and the answers to the claims that won them, and
//! counts them.
//!
//! A job is purged only if its stream has a `job.purged`, every read model has passed its last event, and that event
//! is not the last one of the log.

use serde::Deserialize;
use sqlx::{PgConnection, SqliteConnection};
use uuid::Uuid;

use super::reader::Archive;
use crate::database::fetch;
use crate::envelope::Position;
use crate::id::{JobId, RunnerId};
use crate::log::StoreError;
use crate::stream::StreamId;

/// Totals of what was ever purged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Jobs that were deleted.
    pub jobs: u64,
    /// Events that were deleted from the log's tables: theirs, those of their claims, and superseded ones.
    pub events: u64,
}

/// The last position. Its event is never deleted, as its position would be assigned again.
const HEAD: &str = "select coalesce(max(position), 0) from events";

/// Selects those of these jobs that have a `job.purged`, each with the position of its last event.
const CANDIDATES_ON_POSTGRES: &str = "
    select aggregate_id, max(position) from events where aggregate_type = 'job' and aggregate_id = any($1)
    group by aggregate_id having bool_or(event_type = 'job.purged')";
const CANDIDATES_ON_SQLITE: &str = "
    select aggregate_id, max(position) from events
    where aggregate_type = 'job' and aggregate_id in (select value from json_each(?1))
    group by aggregate_id having max(event_type = 'job.purged') = 1";

/// Selects the claims of these jobs.
const CLAIMS_ON_POSTGRES: &str = "
    select payload::text from events
    where aggregate_type = 'job' and aggregate_id = any($1) and event_type = 'job.claimed'";
const CLAIMS_ON_SQLITE: &str = "
    select payload from events
    where aggregate_type = 'job' and aggregate_id in (select value from json_each(?1))
    and event_type = 'job.claimed'";

pub(super) const COUNT: &str = "
    insert into purged as p (id, jobs, events) values (1, $1, $2)
    on conflict (id) do update set jobs = p.jobs + excluded.jobs, events = p.events + excluded.events";

/// Deletes those of these jobs that are to be purged, as part of a PostgreSQL transaction: their events, their logs, the
/// answers to their claims, and the index entries of their archived logs. Returns which ones they are. If one of them has
/// an event after `passed`, or the last one of the log, it deletes nothing yet, and returns `None`.
pub async fn purge_on_postgres(
    connection: &mut PgConnection,
    jobs: &[JobId],
    passed: Position,
) -> Result<Option<Vec<JobId>>, StoreError> {
    let ids: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    let head: i64 = sqlx::query_scalar(HEAD).fetch_one(&mut *connection).await?;
    let streams: Vec<(String, i64)> =
        sqlx::query_as(CANDIDATES_ON_POSTGRES).bind(ids).fetch_all(&mut *connection).await?;
    let Some(purged) = purgeable(&streams, passed, head)? else { return Ok(None) };
    let ids: Vec<String> = purged.iter().map(ToString::to_string).collect();
    let claims: Vec<String> =
        sqlx::query_scalar(CLAIMS_ON_POSTGRES).bind(&ids).fetch_all(&mut *connection).await?;
    let mut events = 0;
    for (kind, ids) in [("job", &ids), ("job_log", &ids), ("claim", &answers(&claims))] {
        let deleted = sqlx::query("delete from events where aggregate_type = $1 and aggregate_id = any($2)")
            .bind(kind)
            .bind(ids)
            .execute(&mut *connection)
            .await?;
        events += deleted.rows_affected();
    }
    let ids: Vec<Uuid> = purged.iter().map(|job| job.as_uuid()).collect();
    sqlx::query("delete from archived_logs where job_id = any($1)")
        .bind(&ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query(COUNT)
        .bind(i64::try_from(ids.len())?)
        .bind(i64::try_from(events)?)
        .execute(connection)
        .await?;
    Ok(Some(purged))
}

/// As [`purge_on_postgres`], as part of a SQLite transaction.
pub async fn purge_on_sqlite(
    connection: &mut SqliteConnection,
    jobs: &[JobId],
    passed: Position,
) -> Result<Option<Vec<JobId>>, StoreError> {
    let ids = serde_json::to_string(jobs)?;
    let head: i64 = sqlx::query_scalar(HEAD).fetch_one(&mut *connection).await?;
    let streams: Vec<(String, i64)> =
        sqlx::query_as(CANDIDATES_ON_SQLITE).bind(ids).fetch_all(&mut *connection).await?;
    let Some(purged) = purgeable(&streams, passed, head)? else { return Ok(None) };
    let ids = serde_json::to_string(&purged)?;
    let claims: Vec<String> =
        sqlx::query_scalar(CLAIMS_ON_SQLITE).bind(&ids).fetch_all(&mut *connection).await?;
    let claims = serde_json::to_string(&answers(&claims))?;
    let mut events = 0;
    for (kind, ids) in [("job", &ids), ("job_log", &ids), ("claim", &claims)] {
        let deleted = sqlx::query(
            "delete from events where aggregate_type = ?1 and aggregate_id in (select value from json_each(?2))",
        )
        .bind(kind)
        .bind(ids)
        .execute(&mut *connection)
        .await?;
        events += deleted.rows_affected();
    }
    sqlx::query("delete from archived_logs where job_id in (select value from json_each(?1))")
        .bind(ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query(COUNT)
        .bind(i64::try_from(purged.len())?)
        .bind(i64::try_from(events)?)
        .execute(connection)
        .await?;
    Ok(Some(purged))
}

/// What tells the request of a claim, of the payload of a `job.claimed`.
#[derive(Deserialize)]
struct Claim {
    runner_id: RunnerId,
    request_key: Option<String>,
}

/// The ids of the streams that keep the answers to the requests of these claims.
fn answers(payloads: &[String]) -> Vec<String> {
    let stream = |payload: &String| {
        let Claim { runner_id, request_key } = serde_json::from_str(payload).ok()?;
        Some(StreamId::claim(&runner_id, &request_key?).id)
    };
    payloads.iter().filter_map(stream).collect()
}

/// The candidates, if all of them can be deleted now.
fn purgeable(
    streams: &[(String, i64)],
    passed: Position,
    head: i64,
) -> Result<Option<Vec<JobId>>, StoreError> {
    let is_passed = |(_, last): &(String, i64)| *last < head && Position::from_sql(*last) <= passed;
    if !streams.iter().all(is_passed) {
        return Ok(None);
    }
    let jobs = streams.iter().map(|(id, _)| id.parse()).collect::<Result<_, _>>()?;
    Ok(Some(jobs))
}

impl Archive {
    /// Totals of what was ever purged.
    pub async fn purged(&self) -> Result<Purged, StoreError> {
        const TEXT: &str = "select jobs, events from purged";
        let row: Option<(i64, i64)> = fetch!(self.database(), fetch_optional, sqlx::query_as(TEXT))?;
        let purged =
            |(jobs, events): (i64, i64)| Purged { jobs: jobs.unsigned_abs(), events: events.unsigned_abs() };
        Ok(row.map(purged).unwrap_or_default())
    }

    /// Whether a segment holds the log of a job that was not purged.
    pub async fn is_needed(&self, segment: u64) -> Result<bool, StoreError> {
        const TEXT: &str = "select exists (select 1 from archived_logs where segment = $1)";
        let segment = i64::try_from(segment)?;
        fetch!(self.database(), fetch_one, sqlx::query_scalar(TEXT).bind(segment))
    }
}
