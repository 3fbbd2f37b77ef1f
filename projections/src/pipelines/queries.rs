//! Queries for pipelines.

use rivet_events::id::PipelineId;
use rivet_events::log::ReadError;
use rivet_events::{Position, StreamId};

use super::{Pipeline, Pipelines};
use crate::page::{Cursor, Page};
use crate::past::PastError;
use crate::period::Period;
use crate::query::{Order, Query, QueryError};
use crate::read_models::ReadModels;

/// The conditions that the pipelines of a list meet, all of them.
#[derive(Debug, Clone, Default)]
pub struct PipelineFilter {
    /// This pipeline.
    pub pipeline_id: Option<PipelineId>,
    /// Created in this period.
    pub created: Period,
}

/// The pipeline, even if it is deleted; `None` if it never existed.
pub async fn find(read_models: &ReadModels, id: PipelineId) -> Result<Option<Pipeline>, QueryError> {
    read_models.find::<Pipelines>(&id.to_string()).await
}

/// Pipelines that are not deleted and match a filter, newest first.
pub async fn list(
    read_models: &ReadModels,
    filter: &PipelineFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Pipeline>, QueryError> {
    let matching = |query: Query| {
        filter
            .created
            .condition(query, "created_at")
            .push(" and deleted_at is null")
            .bind_some(" and key = ", filter.pipeline_id.map(|id| id.to_string()))
    };
    let query = Query::page(Order::NewestFirst("created_at"), [matching], after, limit);
    read_models.page::<Pipelines>(&query, limit, cursor).await
}

/// The pipeline as it was at a position, even if it was deleted by then.
pub async fn find_at(
    read_models: &ReadModels,
    id: PipelineId,
    position: Position,
) -> Result<Option<Pipeline>, ReadError> {
    read_models.row_at::<Pipelines>(&StreamId::pipeline(id), position).await
}

/// As [`list`], at a position that the read models have reached.
pub async fn list_at(
    read_models: &ReadModels,
    position: Position,
    filter: &PipelineFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Pipeline>, PastError> {
    let mut rows = match filter.pipeline_id {
        Some(id) => find_at(read_models, id, position).await?.into_iter().collect(),
        None => read_models.rows_at::<Pipelines>(position).await?,
    };
    rows.retain(|row| row.deleted_at.is_none() && filter.created.contains(row.created_at));
    Ok(Page::of_all(rows, after, limit, cursor))
}

fn cursor(row: &Pipeline) -> Cursor {
    Cursor::new(row.created_at, row.id)
}
