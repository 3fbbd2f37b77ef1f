//! `POST /api/projections/{name}/rebuild`

use axum::extract::State;
use axum::http::StatusCode;

use super::{Decision, carry_out, known};
use crate::domain::projection::{ProjectionCommand, RebuildProjection};
use crate::http::answer::Recorded;
use crate::http::error::ApiError;
use crate::http::extract::{Client, OptionalJson, Path};
use crate::http::state::AppState;

/// Build a read model anew from the log.
///
/// The new one is built beside the live one; `GET /api/projections` shows how far it is.
#[utoipa::path(
    post, path = "/api/projections/{name}/rebuild", operation_id = "rebuildProjection", tag = "Operations",
    params(("name" = String, Path, description = "The read model")),
    request_body(content = Option<Decision>, description = "May be left out"),
    responses(
        (status = 202, description = "The rebuild has begun", headers(("Rivet-Position" = u64))),
        (status = 404, description = "`projection_not_found`"),
        (status = 409, description = "`newer_build`"),
    )
)]
pub(in crate::http) async fn rebuild(
    State(state): State<AppState>,
    Client(metadata): Client,
    Path(name): Path<String>,
    OptionalJson(decision): OptionalJson<Decision>,
) -> Result<Recorded<StatusCode>, ApiError> {
    let name = known(&name)?;
    let rebuild = ProjectionCommand::Rebuild(RebuildProjection {
        projection: name.to_owned(),
        reason: decision.unwrap_or_default().reason,
        now: state.clock.now(),
    });
    carry_out(state, name, rebuild, metadata).await
}
