//! `POST /api/webhooks/{id}/resume`

use axum::extract::State;
use axum::http::StatusCode;
use rivet_events::id::WebhookId;

use crate::domain::webhook::{ResumeWebhook, WebhookCommand};
use crate::http::answer::{Recorded, done};
use crate::http::error::ApiError;
use crate::http::extract::{Client, Path};
use crate::http::state::AppState;

/// Resume a webhook that was paused.
///
/// Deliveries go on with the event whose delivery was given up.
#[utoipa::path(
    post, path = "/api/webhooks/{id}/resume", operation_id = "resumeWebhook", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook")),
    responses(
        (status = 204, description = "Deliveries go on", headers(("Rivet-Position" = u64))),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
pub(in crate::http) async fn resume(
    State(state): State<AppState>,
    Client(metadata): Client,
    Path(id): Path<WebhookId>,
) -> Result<Recorded<StatusCode>, ApiError> {
    let command = WebhookCommand::Resume(ResumeWebhook { now: state.clock.now() });
    let committed = state.commands.webhooks.execute(id, command, &metadata).await?;
    Ok(done(state.position_of(&committed).await?))
}
