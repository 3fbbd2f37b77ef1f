//! `DELETE /api/webhooks/{id}`

use axum::extract::State;
use axum::http::StatusCode;
use rivet_events::id::WebhookId;

use crate::domain::webhook::{DeleteWebhook, WebhookCommand};
use crate::http::answer::{Recorded, done};
use crate::http::error::ApiError;
use crate::http::extract::{Client, Path};
use crate::http::state::AppState;
use crate::telemetry::chain;

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
    if let Err(error) = state.deliveries.delete(id).await {
        // The webhook is deleted all the same, and a reconciler deletes what is left of it.
        tracing::warn!(webhook.id = %id, error = %chain(&*error), "the secret of a deleted webhook is deleted later");
    }
    Ok(done(state.position_of(&committed).await?))
}
