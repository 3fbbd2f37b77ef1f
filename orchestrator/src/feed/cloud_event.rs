//! An event as a `CloudEvent` 1.0 in JSON, for consumers that use this standard format.
//!
//! Attributes are those of the specification (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>)
//! and of its documented extensions `sequence`, `correlation` and `distributed-tracing`.

use chrono::{DateTime, Utc};
use rivet_events::id::EventId;
use rivet_events::{Envelope, Event};
use serde::Serialize;
use utoipa::ToSchema;

/// Media type of one event.
pub(crate) const MEDIA_TYPE: &str = "application/cloudevents+json";
/// Media type of an array of events.
pub(crate) const BATCH_MEDIA_TYPE: &str = "application/cloudevents-batch+json";

/// The `source` of all events: the log as a whole, within which ids are unique and positions ordered.
const SOURCE: &str = "urn:rivet:log";

/// An event, with its place in the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "specversion": "1.0",
    "id": "01a21390-e111-7000-8000-0123456789ac",
    "source": "urn:rivet:log",
    "type": "job.started",
    "subject": "job/01a21390-df33-760a-b038-1135a443c6dd",
    "time": "2026-01-31T12:00:00Z",
    "datacontenttype": "application/json",
    "dataschema": "urn:rivet:event:job.started:1",
    "sequence": "00000000000000000002",
    "actor": "runner:build-1",
    "data": {"type": "job.started", "job_id": "01a21390-df33-760a-b038-1135a443c6dd"},
}))]
pub(crate) struct CloudEvent<'a> {
    specversion: &'static str,
    id: EventId,
    source: &'static str,
    r#type: &'a str,
    /// The stream of the event, such as `job/018f…`.
    subject: String,
    time: DateTime<Utc>,
    datacontenttype: &'static str,
    /// The schema of its data, with its version.
    dataschema: String,
    /// Its position in the log, as twenty digits: the extension asks for a text whose order is the order of events.
    sequence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    /// Who caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    /// What happened, as in the payload of the event.
    #[schema(value_type = Object)]
    data: &'a Event,
}

impl<'a> From<&'a Envelope> for CloudEvent<'a> {
    fn from(envelope: &'a Envelope) -> Self {
        let (event, metadata) = (&envelope.event, &envelope.metadata);
        Self {
            specversion: "1.0",
            id: envelope.event_id,
            source: SOURCE,
            r#type: event.event_type(),
            subject: envelope.stream.to_string(),
            time: envelope.recorded_at,
            datacontenttype: "application/json",
            dataschema: format!("urn:rivet:event:{}:{}", event.event_type(), event.event_version()),
            sequence: format!("{:020}", envelope.position.0),
            correlationid: metadata.correlation_id.as_deref(),
            causationid: metadata.causation_id.as_deref(),
            traceparent: metadata.traceparent.as_deref(),
            actor: metadata.actor.as_deref(),
            data: event,
        }
    }
}
