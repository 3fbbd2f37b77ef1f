//! Read-your-writes: a GET waits until the read models have what this server acknowledged before the GET arrived.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rivet_events::Position;
use rivet_projections::AtLeast;

use super::error::ApiError;
use super::extract::header_value;
use super::header::{MIN_POSITION, POSITION, STALE};
use super::state::AppState;

/// The position that the answer to a GET must reflect, and how long the GET waits for it: the higher one of what this
/// server had acknowledged when the GET arrived, and of what the GET itself asks for (a position from another
/// replica).
pub(super) struct Freshness(pub(super) AtLeast);

impl Freshness {
    fn of(headers: &HeaderMap, state: &AppState) -> Result<Self, ApiError> {
        let asked = header_value(headers, &MIN_POSITION)?.map(Position).unwrap_or_default();
        Ok(Self(state.at_least(state.commands.acknowledged().max(asked))))
    }
}

impl FromRequestParts<AppState> for Freshness {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        Self::of(&parts.headers, state)
    }
}

/// Middleware: a GET or HEAD waits until the read models have reached its position. After the timeout it is answered
/// from what they have, and marked as stale.
pub(super) async fn wait_for_read_models(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let AtLeast { position, timeout } = match Freshness::of(request.headers(), &state) {
        Ok(Freshness(at_least)) => at_least,
        Err(error) => return error.into_response(),
    };
    let fresh = state.read_models.wait_for(position, timeout).await;
    let response = next.run(request).await;
    if fresh { response } else { stale(response) }
}

/// Counts the position of an answer as acknowledged. For what this server records, the append has done so; this is for
/// a command that was a replay, or had nothing to record, after events that another replica may have recorded.
pub(super) fn acknowledge(state: &AppState, response: &Response) {
    if let Ok(Some(position)) = header_value(response.headers(), &POSITION) {
        state.commands.acknowledge(Position(position));
    }
}

/// Marks an answer that may not reflect what it has to. A 404 becomes a 503: what is not found may be in the events
/// that the read models have not seen.
pub(super) fn stale(mut response: Response) -> Response {
    if response.status() == StatusCode::NOT_FOUND {
        let detail = "the read models are behind: what is not found may be in what they have not seen yet";
        response = ApiError::unavailable("behind", detail).into_response();
    }
    response.headers_mut().insert(STALE, HeaderValue::from_static("true"));
    response
}
