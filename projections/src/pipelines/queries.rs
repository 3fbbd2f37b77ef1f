//! What may be asked about pipelines.

use rivet_events::id::PipelineId;

use super::{Pipeline, Pipelines};
use crate::page::{Cursor, Page};
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
    let mut query = Query::new("select document from {rows} where deleted_at is null");
    if let Some(after) = after {
        query = query
            .push(" and (created_at, key) < (")
            .bind(after.micros)
            .push(", ")
            .bind(&*after.key)
            .push(")");
    }
    query = query.push(" order by created_at desc, key desc limit ").bind_count(limit.saturating_add(1));
    let rows = read_models.select::<Pipelines>(&query).await?;
    Ok(Page::of(rows, limit, |row| Cursor::new(row.created_at, row.id)))
}
