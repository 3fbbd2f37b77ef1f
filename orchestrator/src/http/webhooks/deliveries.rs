//! `GET /api/webhooks/{id}/deliveries`

use axum::Json;
use axum::extract::State;
use rivet_events::Position;
use rivet_events::id::WebhookId;
use rivet_projections::webhooks;
use serde::Serialize;

use super::unknown_webhook;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::state::AppState;
use crate::webhooks::progress::Progress;

/// How the deliveries of a webhook go.
#[derive(Debug, Serialize)]
pub(in crate::http) struct DeliveriesBody {
    /// Every event up to here was delivered, or is not wanted.
    position: Position,
    head: Position,
    #[serde(flatten)]
    progress: Progress,
}

/// As they were last saved: up to a second ago while all goes well.
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
