//! Queries for webhooks.

use rivet_events::id::WebhookId;

use super::{Webhook, WebhookStatus, Webhooks};
use crate::page::{Cursor, Page};
use crate::query::{Order, Query, QueryError, count_of};
use crate::read_models::ReadModels;

/// The webhook, if there is one.
pub async fn find(read_models: &ReadModels, id: WebhookId) -> Result<Option<Webhook>, QueryError> {
    read_models.find::<Webhooks>(&id.to_string()).await
}

/// All active webhooks.
pub async fn active(read_models: &ReadModels) -> Result<Vec<Webhook>, QueryError> {
    let query =
        Query::new("select document from {rows} where status = ").bind(WebhookStatus::Active.as_str());
    read_models.select::<Webhooks>(&query).await
}

/// How many webhooks there are in each state.
pub async fn counts(read_models: &ReadModels) -> Result<[(WebhookStatus, u64); 2], QueryError> {
    let query = Query::new("select status, count(*) from {rows} where status is not null group by status");
    let rows = read_models.values::<Webhooks>(&query).await?;
    let count = |status: WebhookStatus| (status, count_of(&rows, status.as_str()));
    Ok([WebhookStatus::Active, WebhookStatus::Paused].map(count))
}

/// Webhooks, newest first.
pub async fn list(
    read_models: &ReadModels,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<Webhook>, QueryError> {
    let all = |query: Query| query.push("created_at is not null");
    let query = Query::page(Order::NewestFirst("created_at"), [all], after, limit);
    read_models.page::<Webhooks>(&query, limit, |row| Cursor::new(row.created_at, row.id)).await
}
