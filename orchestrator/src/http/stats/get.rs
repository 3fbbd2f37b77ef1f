//! `GET /api/stats`

use axum::Json;
use axum::extract::State;
use rivet_events::elapsed;
use rivet_events::id::PipelineId;
use rivet_projections::job_queue;
use rivet_projections::pipeline_activity::{self, Activity};
use rivet_projections::runners::{self, RunnerCounts};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::error::ApiError;
use crate::http::state::AppState;

/// Most pipelines in the answer.
const PIPELINES: usize = 1_000;

/// The current figures.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "queued": 3,
    "running": 1,
    "oldest_waiting_seconds": 12.5,
    "runners": {"online": 2, "busy": 1, "offline": 0},
    "by_pipeline": [{
        "pipeline_id": "01a21390-aaaa-7bcd-8000-0123456789ab",
        "name": "hello",
        "queued": 3,
        "running": 1,
        "succeeded": 40,
        "failed": 2,
        "cancelled": 1,
        "timed_out": 0,
    }],
}))]
pub(in crate::http) struct Stats {
    queued: u64,
    running: u64,
    /// How long the job that was queued first has been waiting; 0 where no job waits.
    oldest_waiting_seconds: f64,
    runners: RunnerCounts,
    /// Newest pipeline first, at most 1,000; a deleted one is listed as long as jobs of it wait or run.
    by_pipeline: Vec<PipelineJobs>,
}

/// How many jobs of a pipeline wait and run now, and how many have ended, without those that were purged.
#[derive(Debug, Serialize, ToSchema)]
struct PipelineJobs {
    pipeline_id: PipelineId,
    name: String,
    queued: u64,
    running: u64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    timed_out: u64,
}

/// Get the current figures: the queue, the runners, and the jobs of each pipeline.
///
/// The server keeps these figures, so asking often costs little.
#[utoipa::path(
    get, path = "/api/stats", operation_id = "getStats", tag = "Operations",
    responses((status = 200, description = "The figures", body = Stats))
)]
pub(in crate::http) async fn get(State(state): State<AppState>) -> Result<Json<Stats>, ApiError> {
    let read_models = &state.read_models;
    let totals = pipeline_activity::totals(read_models).await?;
    let oldest = job_queue::oldest_queued_at(read_models).await?;
    let runners = runners::counts(read_models).await?;
    let by_pipeline = pipeline_activity::list(read_models, PIPELINES).await?;
    let now = state.clock.now();
    Ok(Json(Stats {
        queued: totals.queued,
        running: totals.running,
        oldest_waiting_seconds: oldest.map_or(0.0, |oldest| elapsed(oldest, now).as_secs_f64()),
        runners,
        by_pipeline: by_pipeline.into_iter().map(PipelineJobs::from).collect(),
    }))
}

impl From<Activity> for PipelineJobs {
    fn from(activity: Activity) -> Self {
        Self {
            pipeline_id: activity.pipeline_id,
            name: activity.name,
            queued: activity.queued,
            running: activity.running,
            succeeded: activity.succeeded,
            failed: activity.failed,
            cancelled: activity.cancelled,
            timed_out: activity.timed_out,
        }
    }
}
