//! `GET /api/webhooks/{id}/deliveries`

use axum::Json;
use axum::extract::State;
use rivet_events::Position;
use rivet_events::id::WebhookId;
use rivet_projections::webhooks;
use serde::Serialize;
use utoipa::ToSchema;

use super::unknown_webhook;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::state::AppState;
use crate::webhooks::progress::Progress;

/// The progress of a webhook's deliveries.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deliveries, example = json!({
    "position": 41,
    "head": 44,
    "delivered": 12,
    "failures": 1,
    "failing_since": "2026-01-31T12:00:00Z",
    "next_attempt_at": "2026-01-31T12:00:01Z",
    "attempts": [{
        "position": 42,
        "events": 1,
        "event_id": "01a21390-e222-7000-8000-0123456789ab",
        "type": "job.completed",
        "attempted_at": "2026-01-31T12:00:00Z",
        "duration_ms": 12,
        "status": 500,
        "error": "it answered 500 Internal Server Error",
    }],
}))]
pub(in crate::http) struct DeliveriesBody {
    /// Every event up to here was delivered, or does not pass the webhook's filter.
    position: Position,
    /// The head of the log.
    head: Position,
    #[serde(flatten)]
    progress: Progress,
}

/// Get the progress of a webhook's deliveries.
///
/// It is as it was last saved: up to a second ago while all goes well.
#[utoipa::path(
    get, path = "/api/webhooks/{id}/deliveries", operation_id = "getDeliveries", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook")),
    responses(
        (status = 200, description = "How far the deliveries are, and the last attempts", body = DeliveriesBody),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
pub(in crate::http) async fn deliveries(
    State(state): State<AppState>,
    Path(id): Path<WebhookId>,
) -> Result<Json<DeliveriesBody>, ApiError> {
    if webhooks::find(&state.read_models, id).await?.is_none() {
        return Err(unknown_webhook(id));
    }
    let kept = state.deliveries.find(id).await.map_err(|error| ApiError::store(&error))?;
    let (position, progress) = match kept {
        Some(kept) => (kept.position, Progress::read(&kept.progress)),
        None => (Position::default(), Progress::default()),
    };
    let head = state.feed.head().await?;
    Ok(Json(DeliveriesBody { position, head, progress }))
}
