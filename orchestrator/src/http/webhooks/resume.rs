//! `POST /api/webhooks/{id}/resume`

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use rivet_events::id::WebhookId;

use crate::domain::webhook::{ResumeWebhook, WebhookCommand};
use crate::http::answer::{Recorded, done};
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::header::RequestId;
use crate::http::state::{Actor, AppState};

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
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Path(id): Path<WebhookId>,
) -> Result<Recorded<StatusCode>, ApiError> {
    let metadata = AppState::metadata(&headers, &request_id, &Actor::Client);
    let command = WebhookCommand::Resume(ResumeWebhook { now: state.clock.now() });
    let committed = state.commands.webhooks.execute(id, command, &metadata).await?;
    Ok(done(state.position_of(&committed).await?))
}
