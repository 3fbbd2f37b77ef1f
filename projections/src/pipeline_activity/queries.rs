//! What may be asked about activity.

use rivet_events::id::PipelineId;

use super::{Activity, PipelineActivity};
use crate::query::{Query, QueryError, Value};
use crate::read_models::ReadModels;

/// All pipelines together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Jobs that wait.
    pub queued: u64,
    /// Jobs in the hands of a runner.
    pub running: u64,
}

/// The counts of a pipeline; none if there never was one.
pub async fn find(read_models: &ReadModels, id: PipelineId) -> Result<Option<Activity>, QueryError> {
    read_models.find::<PipelineActivity>(&id.to_string()).await
}

/// The counts of pipelines that are there, or have jobs that are not ended; newest pipeline first, up to `limit`.
pub async fn list(read_models: &ReadModels, limit: usize) -> Result<Vec<Activity>, QueryError> {
    let query = Query::new(
        "select document from {rows} where deleted = 0 or queued > 0 or running > 0 order by key desc limit ",
    )
    .bind_count(limit);
    read_models.select::<PipelineActivity>(&query).await
}

/// What waits and runs. Only pipelines that have such jobs are added up, whatever the number of jobs.
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
