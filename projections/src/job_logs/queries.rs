//! What may be asked about a job's log.

use rivet_events::id::JobId;
use rivet_events::job_log::LogEntry;
use rivet_events::log::StoreError;

use super::{JobLogs, LogBatch};
use crate::as_of::AsOf;
use crate::projection::Projection;
use crate::query::{self, Query, QueryError};
use crate::read_models::ReadModels;

/// Messages in one page, in bytes; a single batch that is larger is a page of its own.
const PAGE_BYTES: i64 = 2 * 1024 * 1024;
/// Batches in one page.
const PAGE_BATCHES: usize = 512;

/// An entry in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberedEntry {
    /// 1, 2, … in order of arrival over all attempts of the job.
    pub index: u64,
    /// The attempt that wrote it.
    pub attempt: u32,
    /// The entry.
    pub entry: LogEntry,
}

/// Some entries of a log, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct LogPage {
    /// The entries; none at the end of what is there.
    pub entries: Vec<NumberedEntry>,
    /// What to send as `after_index` for the next page; none where there was nothing more.
    pub next: Option<u64>,
}

/// Up to `limit` entries after the one with index `after_index`, and never more than a few megabytes of them unless
/// one batch alone is larger; and whether they are as new as they have to be. To stream a whole log, ask with what the
/// last page named as `next`.
pub async fn page(
    read_models: &ReadModels,
    job_id: JobId,
    after_index: u64,
    limit: usize,
    as_of: AsOf,
) -> Result<(LogPage, bool), QueryError> {
    let (unstored, fresh) = unstored(read_models, job_id, as_of).await?;
    let stored = stored(read_models, job_id, after_index, limit).await?;
    let batches = joined(stored, unstored, after_index);
    if batches.first().is_some_and(|first| first.first_index <= after_index.saturating_add(1)) {
        return Ok((cut(batches, after_index, limit), fresh));
    }
    // After what is here was looked at: what leaves meanwhile is in the archive.
    let archived = archived(read_models, job_id, after_index).await.map_err(QueryError::Unavailable)?;
    let archived = cut(archived, after_index, limit);
    let page = if archived.entries.is_empty() { cut(batches, after_index, limit) } else { archived };
    Ok((page, fresh))
}

/// Batches of the log that the database has, from the one that may hold the next entry on.
async fn stored(
    read_models: &ReadModels,
    job_id: JobId,
    after_index: u64,
    limit: usize,
) -> Result<Vec<LogBatch>, QueryError> {
    // The batch that holds the next entry is the last one that begins at or before it.
    let next_key = key(job_id, after_index.saturating_add(1));
    let query = Query::new(
        "select document from (
             select key, document, bytes, sum(bytes) over (order by key) as total
             from {rows}
             where key >= coalesce((select max(key) from {rows} where key >= ",
    )
    .bind(key(job_id, 0))
    .push(" and key <= ")
    .bind(&*next_key)
    .push("), ")
    .bind(&*next_key)
    .push(") and key <= ")
    .bind(key(job_id, MAX_INDEX))
    .push(" order by key limit ")
    .bind_count(limit.saturating_add(1).min(PAGE_BATCHES))
    .push(") as batches where total - bytes < ")
    .bind(PAGE_BYTES)
    .push(" order by key");
    read_models.select::<JobLogs>(&query).await
}

/// Batches of the log that the database may not have yet; and whether it has all others that it must have.
async fn unstored(
    read_models: &ReadModels,
    job_id: JobId,
    as_of: AsOf,
) -> Result<(Vec<LogBatch>, bool), QueryError> {
    let keys = (key(job_id, 0), key(job_id, MAX_INDEX));
    let (documents, fresh) = read_models.unstored::<JobLogs>(&keys.0..=&keys.1, as_of).await;
    let batches = documents.iter().flatten().map(|document| query::decode::<JobLogs>(document));
    let batches = batches.collect::<Result<_, _>>()?;
    Ok((batches, fresh))
}

/// What is stored, and what is not as far as it follows right on that, or on the entry with index `after_index`: where the
/// database has more than a page, it does not.
pub(super) fn joined(mut stored: Vec<LogBatch>, unstored: Vec<LogBatch>, after_index: u64) -> Vec<LogBatch> {
    let mut next = stored.last().map_or(after_index.saturating_add(1), LogBatch::next_index);
    let mut bytes: u64 = stored.iter().map(|batch| batch.bytes).sum();
    for batch in unstored {
        if (batch.first_index..batch.next_index()).contains(&next) && bytes < PAGE_BYTES.unsigned_abs() {
            next = batch.next_index();
            bytes += batch.bytes;
            stored.push(batch);
        }
    }
    stored
}

/// Batches of the log that are in the archive, from the one that may hold the next entry on.
async fn archived(
    read_models: &ReadModels,
    job_id: JobId,
    after_index: u64,
) -> Result<Vec<LogBatch>, StoreError> {
    let Some(archive) = read_models.inner.log.archive() else { return Ok(vec![]) };
    let events = archive.read_page(job_id, after_index).await?;
    Ok(events.iter().filter_map(|envelope| JobLogs::apply(None, envelope)).collect())
}

/// The index of the last entry, 0 where there is none; and whether it is as new as it has to be.
pub async fn last_index(
    read_models: &ReadModels,
    job_id: JobId,
    as_of: AsOf,
) -> Result<(u64, bool), QueryError> {
    let (mut unstored, fresh) = unstored(read_models, job_id, as_of).await?;
    let last = match unstored.pop() {
        Some(last) => Some(last),
        None => last_stored(read_models, job_id).await?,
    };
    Ok((last.map_or(0, |batch| batch.next_index().saturating_sub(1)), fresh))
}

async fn last_stored(read_models: &ReadModels, job_id: JobId) -> Result<Option<LogBatch>, QueryError> {
    let query = Query::new("select document from {rows} where key >= ")
        .bind(key(job_id, 0))
        .push(" and key <= ")
        .bind(key(job_id, MAX_INDEX))
        .push(" order by key desc limit 1");
    let here = read_models.select::<JobLogs>(&query).await?.pop();
    match (here, read_models.inner.log.archive()) {
        (None, Some(archive)) => {
            let last = archive.read_last(job_id).await.map_err(QueryError::Unavailable)?;
            Ok(last.and_then(|envelope| JobLogs::apply(None, &envelope)))
        }
        (here, _) => Ok(here),
    }
}

/// The largest index that fits the key.
const MAX_INDEX: u64 = 999_999_999_999;

/// The key of the batch that begins with this index.
pub(crate) fn key(job_id: JobId, first_index: u64) -> String {
    format!("{job_id}/{:012}", first_index.min(MAX_INDEX))
}

/// Deletes the rows of a job's log.
pub(crate) fn delete_all(table: &str, job_id: JobId) -> Query {
    Query::new(&format!("delete from {table} where key >= "))
        .bind(key(job_id, 0))
        .push(" and key <= ")
        .bind(key(job_id, MAX_INDEX))
}

/// The entries of `batches` after `after_index`, `limit` of them.
pub(super) fn cut(batches: Vec<LogBatch>, after_index: u64, limit: usize) -> LogPage {
    let entries: Vec<NumberedEntry> = batches
        .into_iter()
        .flat_map(|batch| {
            let attempt = batch.attempt;
            (batch.first_index..).zip(batch.entries).map(move |(index, entry)| NumberedEntry {
                index,
                attempt,
                entry,
            })
        })
        .filter(|numbered| numbered.index > after_index)
        .take(limit)
        .collect();
    let next = entries.last().map(|last| last.index);
    LogPage { entries, next }
}
