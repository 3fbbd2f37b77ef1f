//! Read models: how far each is, rebuilding one, and deciding what to do about events that one cannot apply.

pub(super) mod list;
pub(super) mod parked;
pub(super) mod rebuild;

use axum::http::StatusCode;
use rivet_events::Metadata;
use rivet_projections::ReadModels;
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::Recorded;
use super::error::ApiError;
use super::state::AppState;
use crate::domain::projection::ProjectionCommand;
use crate::run_to_completion::run_to_completion;
use crate::telemetry::chain;

/// Why an operator has decided so; it is recorded with the decision.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"reason": "this build reads it"}))]
pub(in crate::http) struct Decision {
    /// The reason, for whoever reads the log later.
    reason: Option<String>,
}

/// The read model of this name.
fn known(name: &str) -> Result<&'static str, ApiError> {
    let known = ReadModels::names().find(|known| *known == name);
    known.ok_or_else(|| {
        ApiError::not_found("projection_not_found", format!("there is no projection {name:?}"))
    })
}

/// Records a decision and begins the rebuild that it asks for, also if the client leaves in between.
async fn carry_out(
    state: AppState,
    name: &'static str,
    decision: ProjectionCommand,
    metadata: Metadata,
) -> Result<Recorded<StatusCode>, ApiError> {
    let tasks = state.tasks.clone();
    let carried_out = async move {
        state.read_models.check_replaceable(&[name]).await?;
        let committed = state.commands.projections.execute(name, decision, &metadata).await?;
        begin_rebuild(&state, name).await?;
        Ok(Recorded(state.position_of(&committed).await?, StatusCode::ACCEPTED))
    };
    run_to_completion(&tasks, carried_out).await
}

/// Begins a rebuild beside the live read model; from then on `GET /api/projections` shows how far it is. A server
/// that drains gives it up.
async fn begin_rebuild(state: &AppState, name: &'static str) -> Result<(), ApiError> {
    let mut rebuild = state.read_models.begin_rebuild(&[name]).await?;
    let draining = state.draining.clone();
    state.tasks.spawn(async move {
        match draining.run_until_cancelled(rebuild.finish(|_| ())).await {
            Some(Ok(())) => tracing::info!(projection.name = name, "rebuilt"),
            Some(Err(error)) => {
                tracing::warn!(projection.name = name, error = %chain(&error), "not rebuilt");
            }
            None => {
                tracing::warn!(projection.name = name, "not rebuilt: the server is about to stop");
                rebuild.give_up().await;
            }
        }
    });
    Ok(())
}
