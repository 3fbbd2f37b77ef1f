//! `DELETE /api/webhooks/{id}`

use axum::extract::State;
use axum::http::StatusCode;
use rivet_events::id::WebhookId;

use crate::domain::webhook::{DeleteWebhook, WebhookCommand};
use crate::http::answer::{Recorded, done};
use crate::http::error::ApiError;
use crate::http::extract::{Client, Path};
use crate::http::state::AppState;

/// Delete a webhook.
///
/// Its secret goes with it. A delivery that is under way may still arrive.
#[utoipa::path(
    delete, path = "/api/webhooks/{id}", operation_id = "deleteWebhook", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook")),
    responses(
        (status = 204, description = "The webhook is deleted", headers(("Rivet-Position" = u64))),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    Client(metadata): Client,
    Path(id): Path<WebhookId>,
) -> Result<Recorded<StatusCode>, ApiError> {
    let command = WebhookCommand::Delete(DeleteWebhook { now: state.clock.now() });
    let committed = state.commands.webhooks.execute(id, command, &metadata).await?;
    state.deliveries.forget(id).await.map_err(|error| ApiError::store(&error))?;
    Ok(done(state.position_of(&committed).await?))
}
