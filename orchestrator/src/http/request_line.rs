//! The id of a request, its one log line, its metrics, and (with the feature `otlp`) its span.

#[cfg(feature = "otlp")]
mod span;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use rivet_events::id::RunnerId;
use tower_http::request_id::{MakeRequestId, MakeRequestUuid};
use tracing::{Instrument, Span, error_span, field};

use super::header::REQUEST_ID;
use crate::metrics::{GaugeGuard, HttpMetrics};

/// Longest request id that is accepted from a client, in bytes.
const MAX_REQUEST_ID: usize = 128;
/// Endpoints that clients call again and again: a success is logged at DEBUG instead of INFO.
const FREQUENT: [(Method, &str); 18] = [
    (Method::GET, "/api/events"),
    (Method::GET, "/api/health"),
    (Method::GET, "/api/jobs"),
    (Method::POST, "/api/jobs/claim"),
    (Method::GET, "/api/jobs/scheduled"),
    (Method::GET, "/api/jobs/{id}"),
    (Method::GET, "/api/jobs/{id}/logs"),
    (Method::POST, "/api/jobs/{id}/logs"),
    (Method::GET, "/api/projections"),
    (Method::GET, "/api/projections/{name}/parked"),
    (Method::GET, "/api/runners"),
    // Heartbeats. The wildcard is there because a runner's name may contain slashes.
    (Method::POST, "/api/runners/{*id}"),
    (Method::GET, "/api/stats"),
    (Method::GET, "/api/stats/history"),
    (Method::GET, "/assets/{build}/{*path}"),
    (Method::GET, "/livez"),
    (Method::GET, "/metrics"),
    (Method::GET, "/readyz"),
];

/// The id of a request: the client's own, or a new one. Handlers find it in the extensions of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestId(pub(super) String);

/// Adds the runner's name to the log line of the current request.
pub(super) fn note_runner(runner: &RunnerId) {
    Span::current().record("runner.id", field::display(runner));
}

/// Middleware: gives the request its [`RequestId`], echoes it in the answer, logs the request in one line, and counts
/// it. Layer it on the router with `axum::middleware::from_fn_with_state`, outside everything else.
pub(super) async fn request_context(
    State(metrics): State<Arc<HttpMetrics>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = request_id(&request);
    // At the level ERROR, which is not shown, so that a filter that lets only errors through does not take the id of
    // the request from them.
    let span = error_span!("http.request", request.id = id.0, runner.id = field::Empty);
    let line = RequestLine::new(&request, metrics);
    #[cfg(feature = "otlp")]
    span::continue_trace(&span, &line, request.headers());
    let header = HeaderValue::from_str(&id.0).ok();
    request.extensions_mut().insert(id);
    async move {
        let mut response = next.run(request).await;
        line.answered(response.status());
        #[cfg(feature = "otlp")]
        span::answered(&Span::current(), response.status());
        if let Some(id) = header {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
    .instrument(span)
    .await
}

fn request_id(request: &Request) -> RequestId {
    let sent = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    match sent {
        Some(id) if is_sane(id) => RequestId(id.to_owned()),
        Some(_) | None => RequestId(new_request_id(request)),
    }
}

fn is_sane(id: &str) -> bool {
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn new_request_id(request: &Request) -> String {
    let id = MakeRequestUuid.make_request_id(request);
    id.and_then(|id| id.header_value().to_str().map(str::to_owned).ok()).unwrap_or_default()
}

/// The log line of a request. It is written on drop: when the answer begins, or when the client disconnects before
/// that. Only a request that was answered is counted, but all are counted as in flight until then.
struct RequestLine {
    method: Method,
    uri: Uri,
    route: Option<MatchedPath>,
    began: Instant,
    status: Option<StatusCode>,
    metrics: Arc<HttpMetrics>,
    _in_flight: GaugeGuard,
}

impl RequestLine {
    fn new(request: &Request, metrics: Arc<HttpMetrics>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            route: request.extensions().get().cloned(),
            began: Instant::now(),
            status: None,
            _in_flight: metrics.in_flight(),
            metrics,
        }
    }

    /// Counts the request, and writes the line by dropping it.
    fn answered(mut self, status: StatusCode) {
        self.metrics.answered(self.template(), &self.method, status, self.began.elapsed());
        self.status = Some(status);
    }

    /// The template that its path matched.
    fn template(&self) -> Option<&str> {
        self.route.as_ref().map(MatchedPath::as_str)
    }

    fn is_frequent(&self) -> bool {
        FREQUENT.iter().any(|(method, route)| self.method == *method && self.template() == Some(*route))
    }
}

/// A macro, since `tracing` needs the level of an event at compile time.
macro_rules! write_line {
    ($level:ident, $line:expr, $message:literal) => {
        tracing::event!(
            target: "http.request",
            tracing::Level::$level,
            http.method = %$line.method,
            http.path = $line.uri.path(),
            http.route = $line.template(),
            http.status = $line.status.map(|status| status.as_u16()),
            duration_ms = u64::try_from($line.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            $message
        )
    };
}

impl Drop for RequestLine {
    fn drop(&mut self) {
        match self.status {
            None => write_line!(DEBUG, self, "abandoned by the client"),
            Some(StatusCode::SERVICE_UNAVAILABLE) => write_line!(WARN, self, "answered"),
            Some(status) if status.is_server_error() => write_line!(ERROR, self, "answered"),
            Some(status) if status.is_success() && self.is_frequent() => {
                write_line!(DEBUG, self, "answered");
            }
            Some(_) => write_line!(INFO, self, "answered"),
        }
    }
}

#[cfg(test)]
mod tests;
