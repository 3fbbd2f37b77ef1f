//! `GET /api/jobs/scheduled`: the jobs that a runner may claim by their ids, for runners that poll.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use rivet_events::id::{JobId, RunnerId};
use rivet_events::job::JobStatus;
use rivet_events::log::read_from_whole;
use rivet_events::runner::Capabilities;
use rivet_events::{Event, Metadata, Position, StreamId};
use rivet_projections::{Room, job_queue, jobs, runners};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::Job;
use crate::domain::Decider;
use crate::domain::runner::RunnerState;
use crate::http::contact::Contact;
use crate::http::error::ApiError;
use crate::http::extract::{Client, Query};
use crate::http::metadata::by_runner;
use crate::http::moment::{At, Moment, answer_at};
use crate::http::state::AppState;

/// Most jobs in the answer: a runner claims all that it is shown, so it is never shown the whole queue.
const OFFERED: usize = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Poll {
    /// The runner that asks. Absent in dialect B: such a runner takes every job.
    runner_id: Option<RunnerId>,
    /// Whether this client fences: it sends its lease with every report.
    #[serde(default)]
    fencing: bool,
}

/// List what a runner may claim: the first 100 jobs in claim order, sorted by the time of their launch.
///
/// There are fewer where they would be larger than 8 MiB together; a runner that has claimed these asks again.
#[utoipa::path(
    get, path = "/api/jobs/scheduled", operation_id = "listScheduledJobs", tag = "Runners",
    params(Poll, At),
    responses(
        (status = 200, description = "The jobs", body = [Job]),
        (status = 422, description = "`too_much`"),
    )
)]
pub(in crate::http) async fn scheduled(
    State(state): State<AppState>,
    Client(metadata): Client,
    Query(poll): Query<Poll>,
    Query(at): Query<At>,
) -> Result<Response, ApiError> {
    if let Some(then) = at.moment(&state).await? {
        return Ok(answer_at(Some(then), Json(offered_at(&state, &poll, then).await?)));
    }
    let now = state.clock.now();
    let capabilities = match &poll.runner_id {
        Some(runner_id) => polled(&state, runner_id, &by_runner(metadata, runner_id)).await?,
        None => Capabilities::default(),
    };
    let offered =
        job_queue::candidates(&state.read_models, &capabilities, poll.fencing, now, OFFERED).await?;
    let ids: Vec<JobId> = offered.iter().map(|job| job.job_id).collect();
    let mut jobs = jobs::first_of(&state.read_models, &ids).await?;
    // One of them may have been claimed since the queue was read.
    jobs.retain(|job| job.status == JobStatus::Queued);
    jobs.sort_by_key(|job| (job.requested_at, job.id));
    let jobs: Vec<Job> = jobs.into_iter().map(|row| Job::from_row(row, now)).collect();
    Ok(Json(jobs).into_response())
}

/// Notes the poll of a runner, unless it never registered, and returns its capabilities. Those of a registered runner
/// are taken from the read model, which has all that this answer must reflect, also from other replicas.
async fn polled(
    state: &AppState,
    runner_id: &RunnerId,
    metadata: &Metadata,
) -> Result<Capabilities, ApiError> {
    let capabilities = if let Some(row) = runners::find(&state.read_models, runner_id).await? {
        row.capabilities
    } else {
        let runner = state.commands.runners.load(runner_id).await?.state;
        if *runner == RunnerState::Absent {
            return Ok(Capabilities::default());
        }
        runner.capabilities()
    };
    state.note_contact(Contact::Poll, runner_id, metadata).await?;
    Ok(capabilities)
}

/// What the runner would have been answered then. A question about the past is not noted as contact of the runner.
async fn offered_at(state: &AppState, poll: &Poll, then: Moment) -> Result<Vec<Job>, ApiError> {
    let (read_models, position) = (&state.read_models, then.position);
    let capabilities = match &poll.runner_id {
        Some(runner_id) => capabilities_at(state, runner_id, position).await?,
        None => Capabilities::default(),
    };
    let offered =
        job_queue::candidates_at(read_models, position, &capabilities, poll.fencing, then.time, OFFERED)
            .await?;
    let (mut room, mut jobs) = (Room::default(), Vec::with_capacity(offered.len()));
    for offered in offered {
        let Some(job) = jobs::find_at(read_models, offered.job_id, position).await? else { continue };
        if !room.takes(&job) {
            break;
        }
        jobs.push(job);
    }
    jobs.sort_by_key(|job| (job.requested_at, job.id));
    Ok(jobs.into_iter().map(|row| Job::from_row(row, then.time)).collect())
}

/// The capabilities that the runner had then; as in the present, a removed one keeps those that it had.
async fn capabilities_at(
    state: &AppState,
    runner_id: &RunnerId,
    position: Position,
) -> Result<Capabilities, ApiError> {
    let (log, stream) = (&**state.commands.log(), StreamId::runner(runner_id));
    let mut runner = RunnerState::default();
    for envelope in read_from_whole(log, &stream, position, |_| true).await? {
        if let Event::Runner(event) = &envelope.event {
            runner = runner.evolve(event.clone());
        }
    }
    Ok(runner.capabilities())
}
