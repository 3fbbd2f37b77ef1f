//! Queries for the flow of jobs.

use super::{JobFlow, Minute};
use crate::query::{Query, QueryError};
use crate::read_models::ReadModels;

/// The minutes from `minute` on in which anything happened, oldest first.
pub async fn since(read_models: &ReadModels, minute: i64) -> Result<Vec<Minute>, QueryError> {
    let query =
        Query::new("select document from {rows} where minute >= ").bind(minute).push(" order by minute");
    read_models.select::<JobFlow>(&query).await
}
