//! `POST /api/runners/register`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json as JsonBody};
use rivet_events::id::RunnerId;
use rivet_projections::runners;
use serde::Deserialize;

use crate::domain::runner::{RegisterRunner, RunnerCommand};
use crate::http::answer::Recorded;
use crate::http::body::Runner;
use crate::http::error::ApiError;
use crate::http::extract::Json;
use crate::http::header::RequestId;
use crate::http::state::{Actor, AppState};

#[derive(Debug, Deserialize)]
pub(in crate::http) struct Register {
    runner_id: RunnerId,
    /// Absent in dialect B: such a runner takes every job.
    #[serde(default)]
    capabilities: Option<Vec<String>>,
    #[serde(default)]
    boot_id: Option<String>,
}

pub(in crate::http) async fn register(
    State(state): State<AppState>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Json(body): Json<Register>,
) -> Result<Recorded<JsonBody<Runner>>, ApiError> {
    let now = state.clock.now();
    let metadata = AppState::metadata(&headers, &request_id, &Actor::Runner(&body.runner_id));
    let runner_id = body.runner_id.clone();
    let command = RunnerCommand::Register(RegisterRunner {
        runner_id: body.runner_id,
        capabilities: body.capabilities,
        boot_id: body.boot_id,
        now,
    });
    let committed = state.commands.runners.execute(&runner_id, command, &metadata).await?;
    state.liveness.recorded(&runner_id, now);
    let position = state.position_of(&committed);
    // The answer shows what the runner holds, which only the read model knows.
    state.read_models.wait_for(position, state.config.read_wait).await;
    let row = runners::find(&state.read_models, &runner_id).await?;
    let row = row.ok_or_else(|| {
        ApiError::unavailable("unavailable", "the runner is registered, but its answer is not ready yet")
    })?;
    Ok(Recorded(position, JsonBody(Runner::from_row(row, Some(now)))))
}
