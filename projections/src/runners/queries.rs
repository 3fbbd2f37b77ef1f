//! Queries for runners.

use rivet_events::id::RunnerId;
use rivet_events::{Position, StreamId, StreamType};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Runner, RunnerStatus, Runners};
use crate::at_least::AtLeast;
use crate::page::{Cursor, Page};
use crate::past::PastError;
use crate::period::Period;
use crate::projection::Projection;
use crate::query::{Order, Query, QueryError, Value, count_of};
use crate::read_models::ReadModels;

/// The conditions that the runners of a list meet, all of them.
#[derive(Debug, Clone, Default)]
pub struct RunnerFilter {
    /// In one of these states; in any if empty.
    pub status: Vec<RunnerStatus>,
    /// This runner.
    pub runner_id: Option<RunnerId>,
    /// Registered in this period.
    pub registered: Period,
}

/// The runner, if it is registered.
pub async fn find(read_models: &ReadModels, id: &RunnerId) -> Result<Option<Runner>, QueryError> {
    let runner = read_models.find::<Runners>(id.as_str()).await?;
    Ok(runner.filter(|runner| runner.registered_at.is_some()))
}

/// As [`find`], and whether the answer is as fresh as it has to be.
pub async fn find_at_least(
    read_models: &ReadModels,
    id: &RunnerId,
    at_least: AtLeast,
) -> Result<(Option<Runner>, bool), QueryError> {
    let (runner, fresh) = read_models.find_at_least::<Runners>(id.as_str(), at_least).await?;
    Ok((runner.filter(|runner| runner.registered_at.is_some()), fresh))
}

/// Registered runners that match a filter, newest first.
pub async fn list(
    read_models: &ReadModels,
    filter: &RunnerFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Runner>, QueryError> {
    let matching = |query: Query| {
        // No time is in a period if it is null.
        filter
            .registered
            .condition(query, "registered_at")
            .bind_some(" and key = ", filter.runner_id.as_ref().map(RunnerId::as_str))
            .and_one_of("status", filter.status.iter().map(|status| status.as_str()))
    };
    let query = Query::page(Order::NewestFirst("registered_at"), [matching], after, limit);
    read_models.page::<Runners>(&query, limit, cursor).await
}

/// The names of registered runners that contain `part`, which is in lower case; the case of the names is ignored. All
/// names are compared here, since the databases only know the case of ASCII letters.
pub(crate) async fn names_with(
    read_models: &ReadModels,
    part: &str,
    limit: usize,
) -> Result<Vec<String>, QueryError> {
    let query = Query::new("select key from {rows} where registered_at is not null order by key");
    let rows = read_models.values::<Runners>(&query).await?;
    let names = rows.into_iter().filter_map(|row| row.into_iter().next().and_then(Value::into_text));
    Ok(names.filter(|name| name.to_lowercase().contains(part)).take(limit).collect())
}

fn cursor(row: &Runner) -> Cursor {
    Cursor::new(row.registered_at.unwrap_or_default(), &row.id)
}

/// As [`find`], at a position that the read models have reached.
pub async fn find_at(
    read_models: &ReadModels,
    id: &RunnerId,
    position: Position,
) -> Result<Option<Runner>, PastError> {
    let mut streams = read_models.alive_at(&[StreamType::Job], position).await?;
    streams.push(StreamId::runner(id));
    let rows = read_models.rows_of::<Runners>(streams, position).await?;
    Ok(rows.into_iter().find(|runner| runner.id == *id && runner.registered_at.is_some()))
}

/// As [`list`], at a position that the read models have reached.
pub async fn list_at(
    read_models: &ReadModels,
    position: Position,
    filter: &RunnerFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Runner>, PastError> {
    let streams = read_models.alive_at(Runners::STREAMS, position).await?;
    let mut rows = read_models.rows_of::<Runners>(streams, position).await?;
    rows.retain(|row| {
        row.registered_at.is_some_and(|at| filter.registered.contains(at))
            && filter.runner_id.as_ref().is_none_or(|id| row.id == *id)
            && (filter.status.is_empty() || filter.status.contains(&row.status))
    });
    Ok(Page::of_all(rows, after, limit, cursor))
}

/// Registered runners by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RunnerCounts {
    pub online: u64,
    pub busy: u64,
    pub offline: u64,
}

/// How many registered runners there are in each state, counted over an index.
pub async fn counts(read_models: &ReadModels) -> Result<RunnerCounts, QueryError> {
    let query = Query::new(
        "select status, count(*) from {rows} where status is not null and registered_at is not null group by status",
    );
    let rows = read_models.values::<Runners>(&query).await?;
    let count = |status: RunnerStatus| count_of(&rows, status.as_str());
    Ok(RunnerCounts {
        online: count(RunnerStatus::Online),
        busy: count(RunnerStatus::Busy),
        offline: count(RunnerStatus::Offline),
    })
}
