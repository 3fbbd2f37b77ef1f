//! The one error of the API: RFC 9457 members, a stable `code`, and the `error` text that older clients print.

mod conversions;

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rivet_events::database::passes;
use rivet_events::log::StoreError;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::http::request_line::RequestId;
use crate::telemetry::chain;

/// The `Retry-After` of every 503.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A refused request. What a client may know is here; what the operator must know was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Further members of the body.
    members: Map<String, Value>,
}

/// The body of an error.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem<'a> {
    /// `urn:rivet:problem:` and the code.
    r#type: String,
    /// The HTTP status in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What went wrong, for people.
    detail: &'a str,
    /// The path that was asked.
    instance: &'a str,
    /// A stable code, for programs to branch on.
    code: &'a str,
    /// The id of the request, as in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    /// The same as `detail`, for older clients.
    error: &'a str,
    #[serde(flatten)]
    #[schema(ignore)]
    members: &'a Map<String, Value>,
}

impl ApiError {
    /// An error of this status, code and text.
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), headers: vec![], members: Map::new() }
    }

    /// 400: not JSON, or a value of the path or the query that does not parse.
    pub(super) fn malformed(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 404: there is nothing of that name.
    pub(super) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409: not possible in the current state.
    pub(super) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 412: the state is not the one that the client expects.
    pub(super) fn outdated(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, code, detail)
    }

    /// 422: understood, but refused.
    pub(super) fn refused(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 503: not now; the client should try again after `Retry-After`.
    pub(super) fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        error.with(header::RETRY_AFTER, RETRY_AFTER.as_secs().into())
    }

    /// 503: the database does not answer.
    pub(super) fn store(error: &StoreError) -> Self {
        note(error, "the database is unavailable");
        Self::unavailable("unavailable", "the database is unavailable")
    }

    /// 500: our fault. The cause goes to the log, not to the client.
    pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %chain(error), "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; its log has the cause")
    }

    /// The same error with one more header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same error with one more member in its body.
    pub(super) fn with_member(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }
}

/// Notes in the server's log why the database did not do its part: as an error if somebody must mend it.
fn note(error: &StoreError, what: &str) {
    let cause = chain(&**error);
    if passes(error) {
        tracing::warn!(error = %cause, "{what}");
    } else {
        tracing::error!(error = %cause, "{what}");
    }
}

impl IntoResponse for ApiError {
    /// The body is written by [`ProblemContext::render_problem`], which knows the request.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What the body of an error says about the request.
pub(super) struct ProblemContext {
    path: String,
    request_id: Option<RequestId>,
}

impl ProblemContext {
    /// Of this request.
    pub(super) fn by(request: &Request) -> Self {
        let request_id = request.extensions().get::<RequestId>().cloned();
        Self { path: request.uri().path().to_owned(), request_id }
    }

    /// Writes the body of an answer that is an [`ApiError`]; leaves any other answer as it is.
    pub(super) fn render_problem(self, mut response: Response) -> Response {
        let Some(error) = response.extensions_mut().remove::<ApiError>() else { return response };
        let body = serde_json::to_string(&Problem {
            r#type: format!("urn:rivet:problem:{}", error.code),
            title: error.status.canonical_reason().unwrap_or_default(),
            status: error.status.as_u16(),
            detail: &error.detail,
            instance: &self.path,
            code: error.code,
            request_id: self.request_id.as_ref().map(|id| id.0.as_str()),
            error: &error.detail,
            members: &error.members,
        });
        let body = body.expect("invariant: a problem is plain data");
        // Headers that are there already stay, such as `Allow` of a 405.
        let (mut parts, _) = response.into_parts();
        parts.status = error.status;
        parts.headers.remove(header::CONTENT_LENGTH);
        let json = HeaderValue::from_static("application/problem+json");
        parts.headers.insert(header::CONTENT_TYPE, json);
        for (name, value) in error.headers {
            parts.headers.insert(name, value);
        }
        Response::from_parts(parts, body.into())
    }
}

/// 405: there is such a path, but it does not have the method.
pub(super) fn method_not_allowed(method: &axum::http::Method, path: &str) -> ApiError {
    let detail = format!("{path} does not take {method}");
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

/// The answer of a handler that panicked; the panic itself is in the log.
pub(super) fn panicked() -> Response {
    let detail = "the server failed; its log has the cause";
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response()
}
