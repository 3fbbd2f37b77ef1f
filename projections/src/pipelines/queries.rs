//! What may be asked about pipelines.

use rivet_events::id::PipelineId;
use rivet_events::log::ReadError;
use rivet_events::{Position, StreamId};

use super::{Pipeline, Pipelines};
use crate::page::{Cursor, Page};
use crate::past::PastError;
use crate::query::{Query, QueryError};
use crate::read_models::ReadModels;

/// The pipeline, also a deleted one; none if there never was one.
pub async fn find(read_models: &ReadModels, id: PipelineId) -> Result<Option<Pipeline>, QueryError> {
    read_models.find::<Pipelines>(&id.to_string()).await
}

/// Pipelines that are not deleted, newest first.
pub async fn list(
    read_models: &ReadModels,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Pipeline>, QueryError> {
    let query = Query::new("select document from {rows} where deleted_at is null").newest_first(
        "created_at",
        after,
        limit,
    );
    let rows = read_models.select::<Pipelines>(&query).await?;
    Ok(Page::of(rows, limit, |row| Cursor::new(row.created_at, row.id)))
}

/// The pipeline as it was at a position, also a deleted one.
pub async fn find_at(
    read_models: &ReadModels,
    id: PipelineId,
    position: Position,
) -> Result<Option<Pipeline>, ReadError> {
    read_models.row_at::<Pipelines>(&StreamId::pipeline(id), position).await
}

/// As [`list`], at a position that the read models have come to.
pub async fn list_at(
    read_models: &ReadModels,
    position: Position,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Pipeline>, PastError> {
    let mut rows = read_models.rows_at::<Pipelines>(position).await?;
    rows.retain(|row| row.deleted_at.is_none());
    Ok(Page::of_all(rows, after, limit, |row| Cursor::new(row.created_at, row.id)))
}
