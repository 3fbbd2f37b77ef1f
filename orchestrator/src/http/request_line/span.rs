//! The span of a request, for an OpenTelemetry collector: a child of the span that its `traceparent` header names.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::RequestLine;

/// Makes the span a child of the one that the `traceparent` header of the request names, and sets its attributes.
pub(super) fn continue_trace(span: &Span, line: &RequestLine, headers: &HeaderMap) {
    let parent = TraceContextPropagator::new().extract(&Headers(headers));
    // It fails if no spans are exported, which does not matter.
    let _ = span.set_parent(parent);
    span.set_attribute("http.request.method", line.method.to_string());
    span.set_attribute("url.path", line.uri.path().to_owned());
    if let Some(route) = line.template() {
        span.set_attribute("http.route", route.to_owned());
    }
}

/// Sets the attribute for the status of the answer.
pub(super) fn answered(span: &Span, status: StatusCode) {
    span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(HeaderValue::to_str).and_then(Result::ok)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
