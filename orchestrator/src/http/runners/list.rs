//! `GET /api/runners`

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use rivet_events::id::RunnerId;
use rivet_projections::runners::{self, RunnerFilter, RunnerStatus};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::Runner;
use crate::http::answer::{Paging, listed};
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::filter::{InPeriod, words};
use crate::http::moment::{At, answer_at};
use crate::http::state::AppState;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Filter {
    /// Only runners in this state, or in one of several with commas between them.
    #[serde(default, deserialize_with = "words")]
    #[param(style = Form, explode = false)]
    status: Vec<RunnerStatus>,
    /// Only this runner.
    runner_id: Option<RunnerId>,
}

/// List runners, newest first.
#[utoipa::path(
    get, path = "/api/runners", operation_id = "listRunners", tag = "Runners",
    params(Paging, Filter, InPeriod, At),
    responses(
        (status = 200, description = "A page of runners", body = [Runner], headers(("Link" = String))),
        (status = 422, description = "`too_much`"),
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Query(paging): Query<Paging>,
    Query(Filter { status, runner_id }): Query<Filter>,
    Query(registered): Query<InPeriod>,
    Query(at): Query<At>,
) -> Result<Response, ApiError> {
    let (read_models, cursor, limit) = (&state.read_models, paging.cursor()?, paging.limit()?);
    let filter = RunnerFilter { status, runner_id, registered: registered.into() };
    if let Some(then) = at.moment(&state).await? {
        let page = runners::list_at(read_models, then.position, &filter, cursor.as_ref(), limit).await?;
        return Ok(answer_at(Some(then), listed(&uri, page, |row| Runner::from_row(row, None))));
    }
    let page = runners::list(read_models, &filter, cursor.as_ref(), limit).await?;
    Ok(listed(&uri, page, |row| {
        let last_contact = state.liveness.last_contact(&row.id);
        Runner::from_row(row, last_contact)
    }))
}
