//! Traces for an OpenTelemetry collector: one span per request, a child of the span that its `traceparent` header
//! names.
//!
//! A thread of its own sends the spans in batches, as protobuf over HTTP. If the collector is unreachable, spans are
//! lost; requests are not affected.

use std::error::Error;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::RequestLine;

/// Sends spans to the collector at `endpoint`, such as `http://127.0.0.1:4318/v1/traces`.
pub(super) fn exporter(endpoint: &str) -> Result<SdkTracerProvider, Box<dyn Error + Send + Sync>> {
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build()?;
    let resource = Resource::builder()
        .with_service_name("rivet-orchestrator")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// The layer that exports the spans of requests through `provider`, independent of the filter for log lines.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let tracer = provider.tracer("rivet-orchestrator");
    let is_request = |metadata: &Metadata<'_>| metadata.is_span() && metadata.name() == "http.request";
    tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter_fn(is_request))
}

/// Makes the span a child of the one that the `traceparent` header of the request names, and sets its attributes.
pub(super) fn continue_trace(span: &Span, line: &RequestLine, headers: &HeaderMap) {
    let parent = TraceContextPropagator::new().extract(&Headers(headers));
    // It fails if no spans are exported, which does not matter.
    let _ = span.set_parent(parent);
    span.set_attribute("http.request.method", line.method.to_string());
    span.set_attribute("url.path", line.uri.path().to_owned());
    if let Some(route) = &line.route {
        span.set_attribute("http.route", route.as_str().to_owned());
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
