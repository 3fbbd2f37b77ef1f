//! What may be asked about a job's log.

use rivet_events::id::JobId;
use rivet_events::job_log::{LogEntries, LogEntry};
use rivet_events::log::StoreError;

use super::{JobLogs, LogBatch};
use crate::as_of::AsOf;
use crate::projection::Projection;
use crate::query::{self, Query, QueryError};
use crate::read_models::ReadModels;

/// Entries in one page, in bytes; a single batch that is larger is a page of its own.
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

impl NumberedEntry {
    /// Those of a batch.
    ///
    /// # Errors
    /// As [`LogEntries::read`].
    pub fn all(
        batch: &LogEntries,
        attempt: u32,
        first_index: u64,
    ) -> serde_json::Result<impl Iterator<Item = Self>> {
        let numbered = move |(index, entry)| Self { index, attempt, entry };
        Ok((first_index..).zip(batch.read()?).map(numbered))
    }
}

/// Some entries of a log, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct LogPage {
    /// The entries.
    pub entries: Vec<NumberedEntry>,
    /// What to send as `after_index` for the next page; none where there is nothing more yet.
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
    let is_full = stored.len() >= page_batches(limit);
    let batches = joined(stored, unstored, after_index);
    if batches.first().is_some_and(|first| first.first_index <= after_index.saturating_add(1)) {
        let is_whole = !is_full && bytes(&batches) < PAGE_BYTES.unsigned_abs();
        return Ok((cut(&batches, after_index, limit, is_whole)?, fresh));
    }
    // After what is here was looked at: what leaves meanwhile is in the archive.
    let archived = archived(read_models, job_id, after_index).await.map_err(QueryError::Unavailable)?;
    let archived = cut(&archived, after_index, limit, false)?;
    let page = if archived.entries.is_empty() { cut(&batches, after_index, limit, false)? } else { archived };
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
    .bind_count(page_batches(limit))
    .push(") as batches where total - bytes < ")
    .bind(PAGE_BYTES)
    .push(" order by key");
    read_models.select::<JobLogs>(&query).await
}

/// Batches that hold so many entries, of which the first one may be in the middle of a batch.
fn page_batches(limit: usize) -> usize {
    limit.saturating_add(1).min(PAGE_BATCHES)
}

fn bytes(batches: &[LogBatch]) -> u64 {
    batches.iter().map(|batch| batch.bytes).sum()
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
    let mut bytes = bytes(&stored);
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

/// The entries of `batches` after `after_index`, `limit` of them. Where the batches are the whole rest of the log, the
/// page may be the last one.
pub(super) fn cut(
    batches: &[LogBatch],
    after_index: u64,
    limit: usize,
    is_whole: bool,
) -> Result<LogPage, QueryError> {
    let mut entries = Vec::new();
    for LogBatch { attempt, first_index, entries: of_batch, .. } in batches {
        let numbered = NumberedEntry::all(of_batch, *attempt, *first_index)
            .map_err(|source| QueryError::Undecodable { projection: JobLogs::NAME, source })?;
        entries.extend(numbered.filter(|entry| entry.index > after_index));
    }
    let is_last = is_whole && entries.len() <= limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| !is_last).map(|last| last.index);
    Ok(LogPage { entries, next })
}
