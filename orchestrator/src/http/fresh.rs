//! Reading one's own writes: a GET waits until the read models have what was acknowledged before it arrived.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rivet_events::Position;

use super::error::ApiError;
use super::extract::header_value;
use super::header::{MIN_POSITION, STALE};
use super::state::AppState;

/// Middleware: a GET is answered when the read models reach what this server had acknowledged when it arrived, and
/// the position that it asks for (of another replica). Past the bound it gets what there is, marked as stale; that
/// there is nothing cannot be said then.
pub(super) async fn wait_for_read_models(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let asked = match header_value(request.headers(), &MIN_POSITION) {
        Ok(asked) => asked.map(Position).unwrap_or_default(),
        Err(error) => return error.into_response(),
    };
    let position = state.commands.acknowledged().max(asked);
    let fresh = state.read_models.wait_for(position, state.config.read_wait).await;
    let mut response = next.run(request).await;
    if !fresh {
        if response.status() == StatusCode::NOT_FOUND {
            let detail =
                "the read models are behind: what is not found may be in what they have not seen yet";
            response = ApiError::unavailable("behind", detail).into_response();
        }
        response.headers_mut().insert(STALE, HeaderValue::from_static("true"));
    }
    response
}
