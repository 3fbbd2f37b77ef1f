//! `GET /metrics`

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::state::AppState;
use crate::metrics::{CONTENT_TYPE, scrape};

/// Get what the server measures, in the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "Operations",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain"))
)]
pub(super) async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    let head = *state.commands.log().watch().borrow();
    let waiting = state.dispatcher.waiting();
    let now = state.clock.now();
    let text = scrape(&state.metrics, &state.read_models, head, waiting, &state.connections, now).await;
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text)
}
