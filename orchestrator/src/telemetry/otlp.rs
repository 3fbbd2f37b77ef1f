//! Spans of requests for an OpenTelemetry collector.
//!
//! A thread of its own sends the spans in batches, as protobuf over HTTP. If the collector is unreachable, spans are
//! lost; requests are not affected.

use std::error::Error;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

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
