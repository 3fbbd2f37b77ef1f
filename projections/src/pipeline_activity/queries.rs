//! Queries for the activity of pipelines.

use rivet_events::id::PipelineId;

use super::{Activity, PipelineActivity};
use crate::query::{Query, QueryError, Value};
use crate::read_models::ReadModels;

/// All pipelines together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Jobs that wait.
    pub queued: u64,
    /// Jobs that a runner holds.
    pub running: u64,
}

/// The counts of a pipeline; `None` if it never existed.
pub async fn find(read_models: &ReadModels, id: PipelineId) -> Result<Option<Activity>, QueryError> {
    read_models.find::<PipelineActivity>(&id.to_string()).await
}

/// The counts of pipelines that are not deleted, or have jobs that have not ended; newest pipeline first, up to
/// `limit`.
pub async fn list(read_models: &ReadModels, limit: usize) -> Result<Vec<Activity>, QueryError> {
    let query = Query::new(
        "select document from {rows} where deleted = 0 or queued > 0 or running > 0 order by key desc limit ",
    )
    .bind_count(limit);
    read_models.select::<PipelineActivity>(&query).await
}

/// The deleted pipelines that have waiting jobs. It looks only at the pipelines that have any.
pub async fn deleted_with_waiting(read_models: &ReadModels) -> Result<Vec<PipelineId>, QueryError> {
    let query = Query::new("select key from {rows} where queued > 0 and deleted = 1");
    let rows = read_models.values::<PipelineActivity>(&query).await?;
    let ids = rows.into_iter().filter_map(|row| row.into_iter().next()?.into_text()?.parse().ok());
    Ok(ids.collect())
}

/// The number of jobs that wait, and of those that run. It adds up the counters of the pipelines that have such jobs,
/// so the number of jobs does not matter.
pub async fn totals(read_models: &ReadModels) -> Result<Totals, QueryError> {
    let query = Query::new(
        "select (select cast(sum(queued) as bigint) from {rows} where queued > 0),
                (select cast(sum(running) as bigint) from {rows} where running > 0)",
    );
    let rows = read_models.values::<PipelineActivity>(&query).await?;
    let number =
        |n: usize| rows.first().and_then(|row| row.get(n)).and_then(Value::count).unwrap_or_default();
    Ok(Totals { queued: number(0), running: number(1) })
}
