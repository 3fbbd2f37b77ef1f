//! An event as clients see it.

use chrono::{DateTime, Utc};
use rivet_events::archive::ArchiveEvent;
use rivet_events::claim::ClaimEvent;
use rivet_events::group::GroupEvent;
use rivet_events::id::EventId;
use rivet_events::job::JobEvent;
use rivet_events::job_log::JobLogEvent;
use rivet_events::pipeline::PipelineEvent;
use rivet_events::projection::ProjectionEvent;
use rivet_events::runner::RunnerEvent;
use rivet_events::webhook::WebhookEvent;
use rivet_events::{Envelope, Event, Metadata, Position, Version};
use serde::Serialize;
use utoipa::ToSchema;

/// An event, with its place in the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event, example = json!({
    "position": 2,
    "event_id": "01a21390-e111-7000-8000-0123456789ac",
    "type": "job.claimed",
    "version": 1,
    "stream_type": "job",
    "stream_id": "01a21390-df33-760a-b038-1135a443c6dd",
    "sequence": 2,
    "recorded_at": "2026-01-31T12:00:00Z",
    "payload": {
        "type": "job.claimed",
        "job_id": "01a21390-df33-760a-b038-1135a443c6dd",
        "pipeline_id": "01a21390-aaaa-7bcd-8000-0123456789ab",
        "runner_id": "build-1",
        "attempt": 1,
        "lease_id": "01a21390-e111-7000-8000-0123456789ab",
        "fencing": true,
        "claimed_at": "2026-01-31T12:00:00Z",
    },
    "metadata": {"actor": "runner:build-1"},
}))]
pub(crate) struct EventBody<'a> {
    /// Its position in the whole log.
    position: Position,
    event_id: EventId,
    /// Such as `job.claimed`.
    r#type: &'a str,
    /// The version of its payload's schema.
    version: u32,
    /// The kind of its stream, such as `job`. While servers are being updated, also one that only newer servers know.
    stream_type: &'static str,
    stream_id: &'a str,
    /// Its number in its stream.
    sequence: Version,
    /// When it was recorded, by the clock of the server that took the command.
    recorded_at: DateTime<Utc>,
    /// What happened; its members are those of its type.
    #[schema(value_type = Payload)]
    payload: &'a Event,
    /// Who caused it, and by what.
    metadata: &'a Metadata,
}

/// The payload of an event: of a type that this build knows, or what a newer one has written.
#[derive(ToSchema)]
#[schema(as = EventPayload)]
#[expect(dead_code, reason = "only describes what is in a payload")]
#[serde(untagged)]
enum Payload {
    Pipeline(PipelineEvent),
    Job(JobEvent),
    JobLog(JobLogEvent),
    Runner(RunnerEvent),
    Claim(ClaimEvent),
    Group(GroupEvent),
    Projection(ProjectionEvent),
    Webhook(WebhookEvent),
    Archive(ArchiveEvent),
}

impl<'a> From<&'a Envelope> for EventBody<'a> {
    fn from(envelope: &'a Envelope) -> Self {
        Self {
            position: envelope.position,
            event_id: envelope.event_id,
            r#type: envelope.event.event_type(),
            version: envelope.event.event_version(),
            stream_type: envelope.stream.kind.as_str(),
            stream_id: &envelope.stream.id,
            sequence: envelope.sequence,
            recorded_at: envelope.recorded_at,
            payload: &envelope.event,
            metadata: &envelope.metadata,
        }
    }
}
