//! `DELETE /api/pipeline/{id}`

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use rivet_events::id::PipelineId;

use crate::domain::pipeline::{DeletePipeline, PipelineCommand};
use crate::http::answer::{Recorded, done};
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::header::RequestId;
use crate::http::state::{Actor, AppState};

/// The queued jobs of the pipeline are cancelled by a process of its own.
pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Path(id): Path<PipelineId>,
) -> Result<Recorded<StatusCode>, ApiError> {
    let metadata = AppState::metadata(&headers, &request_id, &Actor::Client);
    let command = PipelineCommand::Delete(DeletePipeline { now: state.clock.now() });
    let committed = state.commands.pipelines.execute(id, command, &metadata).await?;
    Ok(done(state.position_of(&committed)))
}
