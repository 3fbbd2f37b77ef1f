//! `GET /api/webhooks/{id}`

use axum::Json;
use axum::extract::State;
use rivet_events::id::WebhookId;
use rivet_projections::webhooks;

use super::body::Webhook;
use super::unknown_webhook;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::state::AppState;

/// Get a webhook.
#[utoipa::path(
    get, path = "/api/webhooks/{id}", operation_id = "getWebhook", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook")),
    responses(
        (status = 200, description = "The webhook", body = Webhook),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
pub(in crate::http) async fn get(
    State(state): State<AppState>,
    Path(id): Path<WebhookId>,
) -> Result<Json<Webhook>, ApiError> {
    let row = webhooks::find(&state.read_models, id).await?.ok_or_else(|| unknown_webhook(id))?;
    Ok(Json(row.into()))
}
