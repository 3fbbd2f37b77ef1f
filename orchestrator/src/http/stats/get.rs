//! `GET /api/stats`

use axum::Json;
use axum::extract::State;
use rivet_events::id::PipelineId;
use rivet_projections::pipeline_activity::{self, Activity};
use rivet_projections::{job_queue, runners};
use serde::Serialize;

use crate::http::error::ApiError;
use crate::http::state::AppState;

/// Pipelines that are told of at most.
const PIPELINES: usize = 1_000;

/// How things stand.
#[derive(Debug, Serialize)]
pub(in crate::http) struct Stats {
    queued: u64,
    running: u64,
    /// 0 where nothing waits.
    oldest_waiting_seconds: f64,
    runners: Runners,
    by_pipeline: Vec<PipelineJobs>,
}

#[derive(Debug, Serialize)]
struct Runners {
    online: u64,
    busy: u64,
    offline: u64,
}

/// What waits and runs now, and what has ended since the beginning.
#[derive(Debug, Serialize)]
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
        oldest_waiting_seconds: oldest.map_or(0.0, |oldest| (now - oldest).as_seconds_f64().max(0.0)),
        runners: Runners { online: runners.online, busy: runners.busy, offline: runners.offline },
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
