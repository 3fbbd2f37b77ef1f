//! Queries for a job's log. The read model says where the batches are; their entries are read from the event log, or
//! from the archive.

use std::sync::Arc;

use rivet_events::id::JobId;
use rivet_events::job_log::{JobLogAppended, JobLogEvent, LogEntry};
use rivet_events::log::StoreError;
use rivet_events::{Envelope, Event, Position};

use super::places::{Places, page_batches};
use super::{JobLogs, LogBatch};
use crate::at_least::AtLeast;
use crate::projection::Projection;
use crate::query::{self, Query, QueryError};
use crate::read_models::ReadModels;

/// An entry with its index in the log.
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
    /// The entries of a batch.
    ///
    /// # Errors
    /// As [`LogEntries::read`](rivet_events::job_log::LogEntries::read).
    pub fn all(batch: &JobLogAppended) -> serde_json::Result<impl Iterator<Item = Self> + use<>> {
        let (attempt, first_index) = (batch.attempt, batch.first_index);
        let numbered = move |(index, entry)| Self { index, attempt, entry };
        Ok((first_index..).zip(batch.entries.read()?).map(numbered))
    }
}

/// A page of a job's log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogPage {
    /// The entries, in order.
    pub entries: Vec<NumberedEntry>,
    /// The `after_index` of the next page; `None` if there is nothing more yet.
    pub next: Option<u64>,
}

/// Up to `limit` entries after the one with index `after_index`, but no more than a few megabytes, unless one batch
/// alone is larger; and whether they are as fresh as they have to be. To read a whole log, pass the `next` of each
/// page to the next call.
pub async fn page(
    read_models: &ReadModels,
    job_id: JobId,
    after_index: u64,
    limit: usize,
    at_least: AtLeast,
) -> Result<(LogPage, bool), QueryError> {
    let (unstored, fresh) = unstored(read_models, job_id, at_least).await?;
    let stored = stored(read_models, job_id, after_index, limit).await?;
    let places = Places::new(stored, unstored, after_index, limit);
    let here = read(read_models, &places.positions).await?;
    if batches(&here).next().is_some_and(|first| first.first_index <= after_index.saturating_add(1)) {
        let is_whole = places.is_whole && here.len() == places.positions.len();
        return Ok((cut(&here, after_index, limit, is_whole)?, fresh));
    }
    // The archive is read after the log: what leaves the log meanwhile is in the archive.
    let archived = archived(read_models, job_id, after_index).await.map_err(QueryError::Archive)?;
    let archived = cut(&archived, after_index, limit, false)?;
    let page = if archived.entries.is_empty() { cut(&here, after_index, limit, false)? } else { archived };
    Ok((page, fresh))
}

/// The batches at these positions, up to the first one that is not in the log any more.
async fn read(read_models: &ReadModels, positions: &[Position]) -> Result<Vec<Arc<Envelope>>, QueryError> {
    let read = read_models.inner.log.read_at(positions).await;
    let mut events = read.map_err(|error| QueryError::Unavailable(error.0))?;
    let are_there =
        positions.iter().zip(&events).take_while(|(position, event)| event.position == **position);
    let there = are_there.count();
    events.truncate(there);
    Ok(events)
}

fn batches(events: &[Arc<Envelope>]) -> impl Iterator<Item = &JobLogAppended> {
    events.iter().filter_map(|envelope| {
        let Event::JobLog(JobLogEvent::Appended(batch)) = &envelope.event else { return None };
        Some(batch)
    })
}

/// The stored rows of a job's log, from the batch that may hold the next entry on.
async fn stored(
    read_models: &ReadModels,
    job_id: JobId,
    after_index: u64,
    limit: usize,
) -> Result<Vec<LogBatch>, QueryError> {
    // The batch that holds the next entry is the last one that begins at or before it.
    let next_key = key(job_id, after_index.saturating_add(1));
    let query = Query::new(
        "select document from {rows} where key >= coalesce((select max(key) from {rows} where key >= ",
    )
    .bind(key(job_id, 0))
    .push(" and key <= ")
    .bind(&*next_key)
    .push("), ")
    .bind(&*next_key)
    .push(") and key <= ")
    .bind(key(job_id, MAX_INDEX))
    .push(" order by key limit ")
    .bind_count(page_batches(limit));
    read_models.select::<JobLogs>(&query).await
}

/// The rows of a job's log that may not be stored yet; and whether all others that are needed are stored.
async fn unstored(
    read_models: &ReadModels,
    job_id: JobId,
    at_least: AtLeast,
) -> Result<(Vec<LogBatch>, bool), QueryError> {
    let keys = (key(job_id, 0), key(job_id, MAX_INDEX));
    let (documents, fresh) = read_models.unstored::<JobLogs>(&keys.0..=&keys.1, at_least).await;
    let batches = documents.iter().flatten().map(|document| query::decode::<JobLogs>(document));
    let batches = batches.collect::<Result<_, _>>()?;
    Ok((batches, fresh))
}

/// The archived batches of a job's log, from the one that may hold the next entry on.
async fn archived(
    read_models: &ReadModels,
    job_id: JobId,
    after_index: u64,
) -> Result<Vec<Arc<Envelope>>, StoreError> {
    match read_models.inner.log.archive() {
        Some(archive) => archive.read_page(job_id, after_index).await,
        None => Ok(vec![]),
    }
}

/// The index of the last entry, 0 if there is none; and whether it is as fresh as it has to be.
pub async fn last_index(
    read_models: &ReadModels,
    job_id: JobId,
    at_least: AtLeast,
) -> Result<(u64, bool), QueryError> {
    let (mut unstored, fresh) = unstored(read_models, job_id, at_least).await?;
    let last = match unstored.pop() {
        Some(last) => Some(last),
        None => last_stored(read_models, job_id).await?,
    };
    let last: Vec<Position> = last.into_iter().map(|batch| batch.position).collect();
    let mut last = read(read_models, &last).await?;
    if let (true, Some(archive)) = (last.is_empty(), read_models.inner.log.archive()) {
        last.extend(archive.read_last(job_id).await.map_err(QueryError::Archive)?);
    }
    let last_index = batches(&last).last().map_or(0, JobLogAppended::last_index);
    Ok((last_index, fresh))
}

async fn last_stored(read_models: &ReadModels, job_id: JobId) -> Result<Option<LogBatch>, QueryError> {
    let query = Query::new("select document from {rows} where key >= ")
        .bind(key(job_id, 0))
        .push(" and key <= ")
        .bind(key(job_id, MAX_INDEX))
        .push(" order by key desc limit 1");
    Ok(read_models.select::<JobLogs>(&query).await?.pop())
}

/// The largest index that fits the key.
const MAX_INDEX: u64 = 999_999_999_999;

/// The key of the batch that begins with this index.
pub(crate) fn key(job_id: JobId, first_index: u64) -> String {
    format!("{job_id}/{:012}", first_index.min(MAX_INDEX))
}

/// A statement that deletes the rows of a job's log.
pub(crate) fn delete_all(table: &str, job_id: JobId) -> Query {
    Query::new(&format!("delete from {table} where key >= "))
        .bind(key(job_id, 0))
        .push(" and key <= ")
        .bind(key(job_id, MAX_INDEX))
}

/// A page of up to `limit` entries after `after_index`, out of these batches. Only if they are the whole rest of the
/// log (`is_whole`) can it be the last page.
pub(super) fn cut(
    events: &[Arc<Envelope>],
    after_index: u64,
    limit: usize,
    is_whole: bool,
) -> Result<LogPage, QueryError> {
    let mut entries = Vec::new();
    for batch in batches(events) {
        let numbered = NumberedEntry::all(batch)
            .map_err(|source| QueryError::Undecodable { projection: JobLogs::NAME, source })?;
        entries.extend(numbered.filter(|entry| entry.index > after_index));
    }
    let is_last = is_whole && entries.len() <= limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| !is_last).map(|last| last.index);
    Ok(LogPage { entries, next })
}
