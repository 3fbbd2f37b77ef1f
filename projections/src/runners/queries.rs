//! What may be asked about runners.

use rivet_events::id::RunnerId;

use super::{Runner, RunnerStatus, Runners};
use crate::page::{Cursor, Page};
use crate::query::{Query, QueryError, Value};
use crate::read_models::ReadModels;

/// The runner, if it is registered.
pub async fn find(read_models: &ReadModels, id: &RunnerId) -> Result<Option<Runner>, QueryError> {
    let runner = read_models.find::<Runners>(id.as_str()).await?;
    Ok(runner.filter(|runner| runner.registered_at.is_some()))
}

/// Registered runners, newest first; of one state, or of all.
pub async fn list(
    read_models: &ReadModels,
    status: Option<RunnerStatus>,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Runner>, QueryError> {
    let mut query = Query::new("select document from {rows} where registered_at is not null")
        .bind_some(" and status = ", status.map(RunnerStatus::as_str));
    if let Some(after) = after {
        query = query
            .push(" and (registered_at, key) < (")
            .bind(after.micros)
            .push(", ")
            .bind(&*after.key)
            .push(")");
    }
    query = query.push(" order by registered_at desc, key desc limit ").bind_count(limit.saturating_add(1));
    let rows = read_models.select::<Runners>(&query).await?;
    Ok(Page::of(rows, limit, |row| Cursor::new(row.registered_at.unwrap_or_default(), &row.id)))
}

/// How many registered runners are in each state that any is in, by its word on the wire.
pub async fn count_by_status(read_models: &ReadModels) -> Result<Vec<(String, u64)>, QueryError> {
    let query =
        Query::new("select status, count(*) from {rows} where registered_at is not null group by status");
    let rows = read_models.values::<Runners>(&query).await?;
    let counted = |row: Vec<Value>| {
        let count = row.get(1).and_then(Value::integer).and_then(|count| u64::try_from(count).ok());
        Some((row.into_iter().next()?.into_text()?, count.unwrap_or_default()))
    };
    Ok(rows.into_iter().filter_map(counted).collect())
}
