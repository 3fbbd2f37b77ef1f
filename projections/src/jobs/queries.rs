//! Queries for jobs.

use rivet_events::id::{JobId, PipelineId, RunnerId};
use rivet_events::job::JobStatus;
use rivet_events::log::ReadError;
use rivet_events::{Position, StreamId};

use super::{Job, Jobs};
use crate::at_least::AtLeast;
use crate::page::{Cursor, Page};
use crate::period::Period;
use crate::query::{Order, Query, QueryError};
use crate::read_models::ReadModels;

/// The conditions that the jobs of a list meet, all of them.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// In one of these states; in any if empty.
    pub status: Vec<JobStatus>,
    /// Of this pipeline.
    pub pipeline_id: Option<PipelineId>,
    /// Held by this runner now or at the end.
    pub runner_id: Option<RunnerId>,
    /// Launched in this period.
    pub launched: Period,
}

/// The job.
pub async fn find(read_models: &ReadModels, id: JobId) -> Result<Option<Job>, QueryError> {
    read_models.find::<Jobs>(&id.to_string()).await
}

/// The job, and whether it is as fresh as it has to be.
pub async fn find_at_least(
    read_models: &ReadModels,
    id: JobId,
    at_least: AtLeast,
) -> Result<(Option<Job>, bool), QueryError> {
    read_models.find_at_least::<Jobs>(&id.to_string(), at_least).await
}

/// The job as it was at a position; none before its launch.
pub async fn find_at(
    read_models: &ReadModels,
    id: JobId,
    position: Position,
) -> Result<Option<Job>, ReadError> {
    read_models.row_at::<Jobs>(&StreamId::job(id), position).await
}

/// As [`find_at`], for each of these jobs, in their order.
pub async fn each_at(
    read_models: &ReadModels,
    ids: Vec<JobId>,
    position: Position,
) -> Result<Vec<Option<Job>>, ReadError> {
    read_models.each_at::<Jobs>(ids.into_iter().map(StreamId::job), position).await
}

/// The jobs that match a filter, newest launch first.
pub async fn list(
    read_models: &ReadModels,
    filter: &JobFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Job>, QueryError> {
    let of_status = |status| JobFilter { status, ..filter.clone() };
    // One branch for each state: the index has the jobs of a state in this order.
    let filters: Vec<JobFilter> = if filter.status.is_empty() {
        vec![filter.clone()]
    } else {
        distinct(&filter.status).into_iter().map(|status| of_status(vec![status])).collect()
    };
    let ways = filters.iter().map(|filter| |query| conditions(query, filter));
    newest(read_models, ways, after, limit).await
}

/// The jobs that meet one of several conditions, newest launch first.
pub(super) async fn newest(
    read_models: &ReadModels,
    ways: impl Iterator<Item = impl FnOnce(Query) -> Query>,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Job>, QueryError> {
    let query = Query::page(Order::NewestFirst("requested_at"), ways, after, limit);
    read_models.page::<Jobs>(&query, limit, cursor).await
}

/// The jobs in a state, oldest launch first: for callers that work through all of them, page by page.
pub async fn with_status(
    read_models: &ReadModels,
    status: JobStatus,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Job>, QueryError> {
    let of_status = |query: Query| query.push("status = ").bind(status.as_str());
    let query = Query::page(Order::OldestFirst("requested_at"), [of_status], after, limit);
    read_models.page::<Jobs>(&query, limit, cursor).await
}

fn cursor(job: &Job) -> Cursor {
    Cursor::new(job.requested_at, job.id)
}

fn distinct(statuses: &[JobStatus]) -> Vec<JobStatus> {
    let mut distinct: Vec<JobStatus> = Vec::new();
    for status in statuses {
        if !distinct.contains(status) {
            distinct.push(*status);
        }
    }
    distinct
}

/// Appends the conditions of a filter.
pub(super) fn conditions(query: Query, filter: &JobFilter) -> Query {
    filter
        .launched
        .condition(query, "requested_at")
        .bind_some(" and pipeline_id = ", filter.pipeline_id.map(|id| id.to_string()))
        .bind_some(" and runner_id = ", filter.runner_id.as_ref().map(RunnerId::as_str))
        .and_one_of("status", filter.status.iter().map(|status| status.as_str()))
}

/// The existing jobs among these ids, in the order of the ids, as many as a page has room for.
pub async fn first_of(read_models: &ReadModels, ids: &[JobId]) -> Result<Vec<Job>, QueryError> {
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let mut query = Query::new("with asked(key, place) as (values ");
    for (n, id) in ids.iter().enumerate() {
        query = query.push(if n == 0 { "(" } else { ", (" }).bind(id.to_string()).push(&format!(", {n})"));
    }
    let query = query.push(
        ")
         select key, place, (select octet_length(document) from {rows} as whole where whole.key = asked.key) as bytes
         from asked",
    );
    read_models.select::<Jobs>(&query.documents("place", &[])).await
}
