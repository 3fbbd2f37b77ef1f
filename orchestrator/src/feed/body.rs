//! An event as clients see it.

use chrono::{DateTime, Utc};
use rivet_events::id::EventId;
use rivet_events::{Envelope, Event, Metadata, Position, StreamType, Version};
use serde::Serialize;

/// An event in its place in the log.
#[derive(Debug, Serialize)]
pub(crate) struct EventBody<'a> {
    position: Position,
    event_id: EventId,
    r#type: &'a str,
    version: u32,
    stream_type: StreamType,
    stream_id: &'a str,
    sequence: Version,
    recorded_at: DateTime<Utc>,
    payload: &'a Event,
    metadata: &'a Metadata,
}

impl<'a> From<&'a Envelope> for EventBody<'a> {
    fn from(envelope: &'a Envelope) -> Self {
        Self {
            position: envelope.position,
            event_id: envelope.event_id,
            r#type: envelope.event.event_type(),
            version: envelope.event.event_version(),
            stream_type: envelope.stream.kind,
            stream_id: &envelope.stream.id,
            sequence: envelope.sequence,
            recorded_at: envelope.recorded_at,
            payload: &envelope.event,
            metadata: &envelope.metadata,
        }
    }
}
