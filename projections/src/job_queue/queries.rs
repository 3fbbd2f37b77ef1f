//! Queries for the queue.

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::id::{JobId, PipelineId};

use super::fold::{SEPARATOR, indexable};
use super::{JobQueue, QueuedJob};
use crate::query::{self, Query, QueryError, Value};
use crate::read_models::ReadModels;

/// Begins a query with the distinct values of an indexed column in the rows that meet a condition, as
/// `distinct_values(value)`. It jumps from one value to the next in the index, so its cost does not depend on the length
/// of the queue.
pub(super) fn distinct(column: &str, condition: &str) -> Query {
    Query::new(&format!(
        "with recursive jumps(value) as (
             select min({column}) from {{rows}} where {condition}
             union all
             select (select min({column}) from {{rows}} where {column} > jumps.value and {condition})
             from jumps
             where value is not null
         ), distinct_values as (select value from jumps where value is not null) "
    ))
}

/// The job, if it is waiting.
pub async fn find(read_models: &ReadModels, id: JobId) -> Result<Option<QueuedJob>, QueryError> {
    let job = read_models.find::<JobQueue>(&id.to_string()).await?;
    Ok(job.filter(|job| job.claim_order.is_some()))
}

/// When the job that has waited longest was queued; `None` if no job waits. It takes one look at the index.
pub async fn oldest_queued_at(read_models: &ReadModels) -> Result<Option<DateTime<Utc>>, QueryError> {
    // With a bound, and not `is not null`, the databases use the index.
    let query = Query::new("select min(queued_at) from {rows} where queued_at > 0");
    let rows = read_models.values::<JobQueue>(&query).await?;
    Ok(query::only(&rows).and_then(Value::integer).and_then(DateTime::from_timestamp_micros))
}

/// How many waiting jobs each set of demands has, most first. The key of a set is its demands, separated by commas,
/// or their digest if they are too long for an index. The entry with the key `None` counts the jobs that runners
/// hold.
///
/// It counts over one index, in time proportional to the length of the queue.
pub async fn depth_by_demands(read_models: &ReadModels) -> Result<Vec<(Option<String>, u64)>, QueryError> {
    let query =
        Query::new("select demands_key, count(*) from {rows} group by demands_key order by count(*) desc");
    let rows = read_models.values::<JobQueue>(&query).await?;
    let depth = |row: Vec<Value>| {
        let count = row.get(1).and_then(Value::count);
        let key = row.into_iter().next().and_then(Value::into_text);
        (key.map(|key| key.replace(SEPARATOR, ",")), count.unwrap_or_default())
    };
    Ok(rows.into_iter().map(depth).collect())
}

/// How many waiting jobs come before this one in the claim order.
pub async fn ahead_of(read_models: &ReadModels, job: &QueuedJob) -> Result<u64, QueryError> {
    let Some(claim_order) = job.claim_order else { return Ok(0) };
    let query = Query::new("select count(*) from {rows} where (claim_order, key) < (")
        .bind(claim_order)
        .push(", ")
        .bind(job.job_id.to_string())
        .push(")");
    read_models.count::<JobQueue>(&query).await
}

/// The waiting jobs of a pipeline, in claim order, from the one that follows `after`.
pub async fn of_pipeline(
    read_models: &ReadModels,
    pipeline_id: PipelineId,
    after: Option<&QueuedJob>,
    limit: usize,
) -> Result<Vec<QueuedJob>, QueryError> {
    let mut query =
        Query::new("select document from {rows} where claim_order is not null and pipeline_id = ")
            .bind(pipeline_id.to_string());
    if let Some((job, claim_order)) = after.and_then(|job| Some((job, job.claim_order?))) {
        query = query.push(" and (claim_order, key) > (").bind(claim_order).push(", ");
        query = query.bind(job.job_id.to_string()).push(")");
    }
    let query = query.push(" order by claim_order, key limit ").bind_count(limit);
    read_models.select::<JobQueue>(&query).await
}

/// The newest job of each concurrency group that cancels the older jobs of its group, where one waits or runs. The query
/// looks at two entries of the index for each group, however many jobs it has.
pub async fn cancelling(read_models: &ReadModels) -> Result<Vec<QueuedJob>, QueryError> {
    // With a bound, and not `is not null`, the databases use the index.
    let query = distinct("concurrency_group", "concurrency_group is not null").push(
        "select document from (
             select (select document from {rows} as job
                     where job.concurrency_group = distinct_values.value and cancels_before > 0
                     order by cancels_before desc limit 1) as document
             from distinct_values
         ) as newest where document is not null",
    );
    read_models.select::<JobQueue>(&query).await
}

/// The jobs of a concurrency group that wait or run and were launched before a position, in the order of their ids,
/// from the one that follows `after`.
pub async fn older_of_group(
    read_models: &ReadModels,
    group: &str,
    before: Position,
    after: Option<&QueuedJob>,
    limit: usize,
) -> Result<Vec<QueuedJob>, QueryError> {
    let query = Query::new("select document from {rows} where concurrency_group = ")
        .bind(indexable(group))
        .push(" and launched_at < ")
        .bind(before)
        .push(" and key > ")
        .bind(after.map(|job| job.job_id.to_string()).unwrap_or_default())
        .push(" order by key limit ")
        .bind_count(limit);
    read_models.select::<JobQueue>(&query).await
}

/// How many jobs of a concurrency group run.
pub async fn running_of_group(read_models: &ReadModels, group: &str) -> Result<u64, QueryError> {
    let query = Query::new("select count(*) from {rows} where claim_order is null and concurrency_group = ")
        .bind(indexable(group));
    read_models.count::<JobQueue>(&query).await
}

/// The jobs of a concurrency group that run, in the order of their ids.
pub async fn held_of_group(
    read_models: &ReadModels,
    group: &str,
    limit: usize,
) -> Result<Vec<JobId>, QueryError> {
    let query = Query::new("select key from {rows} where claim_order is null and concurrency_group = ")
        .bind(indexable(group))
        .push(" order by key limit ")
        .bind_count(limit);
    let rows = read_models.values::<JobQueue>(&query).await?;
    let ids = rows.into_iter().filter_map(|row| row.into_iter().next()?.into_text()?.parse().ok());
    Ok(ids.collect())
}

/// Jobs that were last queued before this time and still wait, longest wait first.
pub async fn queued_before(
    read_models: &ReadModels,
    time: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<QueuedJob>, QueryError> {
    let query = Query::new("select document from {rows} where queued_at < ")
        .bind(time.timestamp_micros())
        .push(" order by queued_at limit ")
        .bind_count(limit);
    read_models.select::<JobQueue>(&query).await
}
