//! `POST /api/runners/register`: registers a runner, and frees the jobs of its former process.

use std::collections::HashSet;

use axum::Json as JsonBody;
use axum::extract::State;
use rivet_events::id::RunnerId;
use rivet_events::runner::Capabilities;
use rivet_events::{Metadata, Position};
use rivet_projections::runners::{self, HeldJob, RunnerStatus};
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::Runner;
use crate::commands::{CommandError, Committed};
use crate::domain::job::{ExpireLease, JobCommand, JobError, JobState};
use crate::domain::runner::{RegisterRunner, RunnerCommand, RunnerState};
use crate::http::answer::Recorded;
use crate::http::error::ApiError;
use crate::http::extract::{Client, Json};
use crate::http::metadata::by_runner;
use crate::http::state::AppState;
use crate::telemetry::chain;

#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"runner_id": "build-1", "capabilities": ["docker", "os=linux"]}))]
pub(in crate::http) struct Register {
    /// The name of the runner, which it chooses itself.
    runner_id: RunnerId,
    /// What it can do. Absent in dialect B: such a runner takes every job.
    #[serde(default)]
    capabilities: Option<Vec<String>>,
    /// Identifies one start of the runner's process.
    #[serde(default)]
    boot_id: Option<String>,
}

/// Register a runner.
///
/// Without `capabilities` the runner is unrestricted; with an empty list it can only run jobs that demand nothing. A
/// runner that registers with another `boot_id` is a new process, and loses the jobs that its former process held.
#[utoipa::path(
    post, path = "/api/runners/register", operation_id = "registerRunner", tag = "Runners",
    request_body = Register,
    responses((status = 200, description = "The runner", body = Runner, headers(("Rivet-Position" = u64))))
)]
pub(in crate::http) async fn register(
    State(state): State<AppState>,
    Client(metadata): Client,
    Json(body): Json<Register>,
) -> Result<Recorded<JsonBody<Runner>>, ApiError> {
    let now = state.clock.now();
    let metadata = by_runner(metadata, &body.runner_id);
    let (runner_id, tells_its_boot) = (body.runner_id.clone(), body.boot_id.is_some());
    let command = RunnerCommand::Register(RegisterRunner {
        runner_id: body.runner_id,
        capabilities: Capabilities(body.capabilities.map(named_once)),
        boot_id: body.boot_id,
        now,
    });
    let committed = state.commands.runners.execute(&runner_id, command, &metadata).await?;
    state.liveness.recorded(&runner_id, now, committed.version);
    let mut position = state.position_of(&committed).await?;
    // Only the read model knows what the runner holds.
    let (mut row, seen) =
        runners::find_at_least(&state.read_models, &runner_id, state.at_least(position)).await?;
    if tells_its_boot {
        let holder = row.filter(|_| seen).ok_or_else(not_ready)?;
        position = position.max(void_orphaned_leases(&state, &holder, &metadata).await?);
        // The answer shows the runner without these jobs.
        let acknowledged = state.at_least(state.commands.acknowledged());
        (row, _) = runners::find_at_least(&state.read_models, &runner_id, acknowledged).await?;
    }
    let held = row.map(|row| row.held).unwrap_or_default();
    let row = row_of(&committed.state, held).ok_or_else(not_ready)?;
    Ok(Recorded(position, JsonBody(Runner::from_row(row, Some(now)))))
}

/// The row of a runner that has just registered, which the read model may not have yet.
fn row_of(registered: &RunnerState, held: Vec<HeldJob>) -> Option<runners::Runner> {
    let RunnerState::Registered(runner) = registered else { return None };
    Some(runners::Runner {
        id: runner.runner_id.clone(),
        status: if held.is_empty() { RunnerStatus::Online } else { RunnerStatus::Busy },
        capabilities: runner.capabilities.clone(),
        boot_id: runner.boot_id.clone(),
        registered_at: Some(runner.registered_at),
        last_heartbeat_at: Some(runner.heard_at),
        lost_at: None,
        held,
    })
}

/// The capabilities in order, each once; those without a name are none.
fn named_once(capabilities: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    capabilities.into_iter().filter(|name| !name.is_empty() && seen.insert(name.clone())).collect()
}

fn not_ready() -> ApiError {
    ApiError::unavailable("unavailable", "the runner is registered, but its answer is not ready yet")
}

/// Expires the leases of the runner's former process. They are looked for at every registration, so that one that
/// failed half-way is completed when its client repeats it. A job that cannot be read is passed over: it must not keep
/// the runner from ever registering. Returns the position to answer with: one that reflects the end of all of them, also
/// of those that another replica has ended.
async fn void_orphaned_leases(
    state: &AppState,
    runner: &runners::Runner,
    metadata: &Metadata,
) -> Result<Position, ApiError> {
    let mut last = Position::default();
    for held in runner.held.iter().filter(|held| held.orphaned) {
        match void_lease(state, held, metadata).await {
            Err(error @ CommandError::Corrupt(..)) => {
                tracing::warn!(runner.id = %runner.id, error = %chain(&error), "its lease cannot be ended");
            }
            done => last = last.max(state.position_of(&done?).await?),
        }
    }
    Ok(last)
}

async fn void_lease(
    state: &AppState,
    held: &HeldJob,
    metadata: &Metadata,
) -> Result<Committed<JobState>, CommandError<JobError>> {
    let job = state.commands.jobs.load(held.job_id).await?.state;
    let expire = JobCommand::ExpireLease(ExpireLease {
        lease_id: held.lease_id,
        last_contact: None,
        rebooted: true,
        policy: state.config.leases.policy(),
        retries: state.retries(&job).await,
        now: state.clock.now(),
    });
    state.commands.jobs.execute(held.job_id, expire, metadata).await
}
