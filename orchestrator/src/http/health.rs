//! Whether the server is there, and whether it should get work.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use rivet_events::Position;
use serde::Serialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::state::AppState;

/// Longest wait for the log: those who ask are waiting for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A server that should get requests.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    status: &'static str,
    /// The position of the last event.
    head: Position,
    checks: Checks,
}

/// What has to be so for that.
#[derive(Debug, Serialize)]
struct Checks {
    /// The event log can be read, and where it ends.
    log: Check,
    /// The read models have all that was in the log when the server began, and how far they are.
    read_models: Check,
    /// The server is not about to stop.
    serving: Check,
}

#[derive(Debug, Serialize)]
struct Check {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

/// `GET /api/health`, `GET /livez`: the process answers.
pub(super) async fn health() -> Json<Value> {
    Json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

/// `GET /readyz`: the log can be read, the read models have caught up, and the server is not about to stop. Each of
/// these is told of, whether it is so or not.
pub(super) async fn ready(State(state): State<AppState>) -> Result<Json<Readiness>, ApiError> {
    let head = match tokio::time::timeout(PATIENCE, state.commands.log().head()).await {
        Ok(read) => read.ok(),
        Err(_) => None,
    };
    let checks = Checks {
        log: Check { ready: head.is_some(), position: head },
        read_models: {
            let position = state.read_models.position();
            Check { ready: position >= state.began_at, position: Some(position) }
        },
        serving: Check { ready: !state.draining.is_cancelled(), position: None },
    };
    let (code, detail) = if !checks.serving.ready {
        ("draining", "the server is about to stop")
    } else if !checks.log.ready {
        ("unavailable", "the event log cannot be read")
    } else if !checks.read_models.ready {
        ("starting", "the read models are behind the log")
    } else {
        return Ok(Json(Readiness { status: "ready", head: head.unwrap_or_default(), checks }));
    };
    Err(ApiError::unavailable(code, detail).with_member("checks", json!(checks)))
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
