//! The middleware around every route. One layer does it all, since each further layer costs every request a clone of
//! all the layers beneath it.

use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use super::cross_site;
use super::error::{self, ProblemContext};
use super::fresh::acknowledge;
use super::state::AppState;
use super::unread::Unread;

/// Middleware: refuses commands of other web sites, answers for a handler that panics, and writes the body of every
/// [`ApiError`](error::ApiError), for which it takes the path and the id of the request. The position of an answer counts
/// as acknowledged from here on. The rest of a body that its handler did not read is read here. While the server
/// drains, each answer ends its connection, so that no request is on its way when the connection closes.
pub(super) async fn guard(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let context = ProblemContext::by(&request);
    let (request, unread) = Unread::of(request);
    let response = match cross_site::check(&request) {
        Ok(()) => {
            let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
            answered.unwrap_or_else(|_| error::panicked().into_response())
        }
        Err(refusal) => refusal.into_response(),
    };
    let mut response = context.render_problem(response);
    acknowledge(&state, &response);
    if let Some(unread) = unread {
        unread.drain(&mut response).await;
    }
    if state.draining.is_cancelled() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
