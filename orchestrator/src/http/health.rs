//! Whether the server is there, and whether it should get work.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::{Value, json};

use super::error::ApiError;
use super::state::AppState;

/// `GET /api/health`, `GET /livez`: the process answers.
pub(super) async fn health() -> Json<Value> {
    Json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

/// `GET /readyz`: the log can be read, the read models have caught up, and the server is not about to stop.
pub(super) async fn ready(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    if state.draining.is_cancelled() {
        return Err(ApiError::unavailable("draining", "the server is about to stop"));
    }
    if state.read_models.position() < state.began_at {
        return Err(ApiError::unavailable("starting", "the read models are behind the log"));
    }
    let head = state.commands.log().head().await?;
    Ok(Json(json!({"status": "ready", "head": head})))
}

/// Middleware: a server that is about to stop ends each connection with its next answer, so that no request is on its
/// way when the connection goes.
pub(super) async fn close_when_draining(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if state.draining.is_cancelled() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
