//! Liveness and readiness: whether the process answers, and whether the server should get requests.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use rivet_events::Position;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::error::ApiError;
use super::state::AppState;

/// Longest wait for the log: whoever asks wants an answer soon.
const LOG_TIMEOUT: Duration = Duration::from_secs(2);

/// A server that should get requests.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "status": "ready",
    "head": 42,
    "checks": {
        "log": {"ready": true, "position": 42},
        "read_models": {"ready": true, "position": 42},
        "serving": {"ready": true},
    },
}))]
pub(super) struct Readiness {
    /// `ready`.
    status: &'static str,
    /// The position of the last event.
    head: Position,
    checks: Checks,
}

/// What the problem of a server that should not get requests has beside the members of every problem.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the answer")]
struct NotReady {
    checks: Checks,
}

/// What a server needs to be ready.
#[derive(Debug, Serialize, ToSchema)]
struct Checks {
    /// The event log can be read; its position is the end of the log.
    log: Check,
    /// The read models have all that was in the log when the server started; the position is how far they have come.
    read_models: Check,
    /// The server is not about to stop.
    serving: Check,
}

#[derive(Debug, Serialize, ToSchema)]
struct Check {
    /// Whether the check passes.
    ready: bool,
    /// The position that was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

/// A process that answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"status": "ok", "version": "0.1.0"}))]
pub(super) struct Health {
    /// `ok`.
    status: &'static str,
    /// The version of the program.
    version: &'static str,
}

const ALIVE: Health = Health { status: "ok", version: env!("CARGO_PKG_VERSION") };

/// Ask whether the process answers.
#[utoipa::path(
    get, path = "/api/health", operation_id = "getHealth", tag = "Operations",
    responses((status = 200, description = "The process answers", body = Health))
)]
pub(super) async fn health() -> Json<Health> {
    Json(ALIVE)
}

/// Ask whether the process answers: a liveness probe, for restarting a process that does not.
#[utoipa::path(
    get, path = "/livez", operation_id = "getLiveness", tag = "Operations",
    responses((status = 200, description = "The process answers", body = Health))
)]
pub(super) async fn live() -> Json<Health> {
    Json(ALIVE)
}

/// Ask whether the server should get requests.
///
/// It should when the log can be read, the read models have caught up, and the server is not about to stop. `checks`
/// has each of these, also in the body of a 503.
#[utoipa::path(
    get, path = "/readyz", operation_id = "getReadiness", tag = "Operations",
    responses(
        (status = 200, description = "The server should get requests", body = Readiness),
        (status = 503, description = "`starting`, `draining`, `unavailable`", body = NotReady, content_type = "application/problem+json"),
    )
)]
pub(super) async fn ready(State(state): State<AppState>) -> Result<Json<Readiness>, ApiError> {
    let head = match tokio::time::timeout(LOG_TIMEOUT, state.commands.log().head()).await {
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
