//! `POST /api/jobs/{id}/claim` (dialect A), `POST /api/jobs/execute/{id}` (dialect B)

use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json as JsonBody};
use rivet_events::id::{JobId, LeaseId, RunnerId};
use serde::Deserialize;

use super::execution::{self, Claim};
use crate::http::answer::Recorded;
use crate::http::body::JobExecutionInfo;
use crate::http::error::ApiError;
use crate::http::extract::{Json, Path, header_value};
use crate::http::header::{REQUEST_KEY, RequestId};
use crate::http::state::{Actor, AppState};

#[derive(Debug, Deserialize)]
pub(in crate::http) struct ClaimRequest {
    runner_id: RunnerId,
    /// Whether this client echoes its lease.
    #[serde(default)]
    fencing: bool,
}

pub(in crate::http) async fn claim(
    State(state): State<AppState>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Path(job_id): Path<JobId>,
    Json(body): Json<ClaimRequest>,
) -> Result<Recorded<JsonBody<JobExecutionInfo>>, ApiError> {
    let metadata = AppState::metadata(&headers, &request_id, &Actor::Runner(&body.runner_id));
    state.heard_from(&body.runner_id, &metadata).await?;
    let claim = Claim {
        job_id,
        capabilities: state.capabilities(&body.runner_id).await?,
        runner_id: body.runner_id,
        lease_id: LeaseId::generate(),
        fencing: body.fencing,
        request_key: header_value(&headers, &REQUEST_KEY)?,
    };
    let Recorded(position, info) = execution::claim(&state, claim, &[], &metadata).await?;
    Ok(Recorded(position, JsonBody(info)))
}
