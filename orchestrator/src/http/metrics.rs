//! `GET /metrics`

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::state::AppState;
use crate::metrics::{CONTENT_TYPE, scrape};

/// What the server measures, for Prometheus; also while the database does not answer.
pub(super) async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    let head = *state.commands.log().watch().borrow();
    let text = scrape(&state.metrics, &state.read_models, head, state.clock.now()).await;
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text)
}
