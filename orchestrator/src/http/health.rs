//! Whether the server is there, and whether it should get work.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::error::ApiError;
use super::state::AppState;

/// `GET /api/health`, `GET /livez`: the process answers.
pub(super) async fn health() -> Json<Value> {
    Json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

/// `GET /readyz`: the log can be read, and the server is not about to stop.
pub(super) async fn ready(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    if state.draining.is_cancelled() {
        return Err(ApiError::unavailable("draining", "the server is about to stop"));
    }
    let head = state.commands.log().head().await?;
    Ok(Json(json!({"status": "ready", "head": head})))
}
