//! `GET /api/webhooks`

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use rivet_projections::webhooks;

use super::body::Webhook;
use crate::http::answer::{Paging, listed};
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::state::AppState;

/// List webhooks, newest first.
#[utoipa::path(
    get, path = "/api/webhooks", operation_id = "listWebhooks", tag = "Webhooks",
    params(Paging),
    responses((status = 200, description = "A page of webhooks", body = [Webhook], headers(("Link" = String))))
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Query(paging): Query<Paging>,
) -> Result<Response, ApiError> {
    let cursor = paging.cursor()?;
    let page = webhooks::list(&state.read_models, cursor.as_ref(), paging.limit()?).await?;
    Ok(listed(&uri, page, Webhook::from))
}
