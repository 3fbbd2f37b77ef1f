//! What may be asked about activity.

use rivet_events::id::PipelineId;

use super::{Activity, PipelineActivity};
use crate::query::{Query, QueryError};
use crate::read_models::ReadModels;

/// The counts of a pipeline; none if no job of it was ever launched.
pub async fn find(read_models: &ReadModels, id: PipelineId) -> Result<Option<Activity>, QueryError> {
    read_models.find::<PipelineActivity>(&id.to_string()).await
}

/// The counts of all pipelines that ever had a job, newest pipeline first, up to `limit`.
pub async fn list(read_models: &ReadModels, limit: usize) -> Result<Vec<Activity>, QueryError> {
    let query = Query::new("select document from {rows} order by key desc limit ").bind_count(limit);
    read_models.select::<PipelineActivity>(&query).await
}
