//! Every event there is, and its name and version on the wire.
//!
//! To add an event:
//! 1. a payload struct and a variant in the file of its aggregate, named in the past tense;
//! 2. its line in `event_types` below;
//! 3. a golden file (the test names it); 4. the folds that the compiler now points at.
//!
//! To change an event: add an optional field with a serde default. Where that is not enough, raise its number in
//! `event_version`, and turn the old payload into the new one in `upcast.rs`.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::archive::ArchiveEvent;
use crate::claim::ClaimEvent;
use crate::cqrs::CURRENT_VERSION;
use crate::envelope::StreamType;
use crate::group::GroupEvent;
use crate::job::JobEvent;
use crate::job_log::JobLogEvent;
use crate::pipeline::PipelineEvent;
use crate::projection::ProjectionEvent;
use crate::runner::RunnerEvent;
use crate::upcast::upcast;
use crate::webhook::WebhookEvent;

/// A fact. Its JSON is the payload as stored: the fields, and `type`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "each variant is documented at its type")]
pub enum Event {
    Pipeline(PipelineEvent),
    Job(JobEvent),
    JobLog(JobLogEvent),
    Runner(RunnerEvent),
    Claim(ClaimEvent),
    Group(GroupEvent),
    Projection(ProjectionEvent),
    Webhook(WebhookEvent),
    Archive(ArchiveEvent),
    Unreadable(UnreadableEvent),
}

/// An event that this build cannot read: written by a newer one, or damaged. Readers of the feed pass it on as it
/// is; a projection parks its stream; an aggregate refuses to load.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct UnreadableEvent {
    /// The stored payload.
    pub payload: Box<RawValue>,
    /// The stored type.
    #[serde(skip)]
    pub event_type: String,
    /// The stored version.
    #[serde(skip)]
    pub event_version: u32,
    /// What is wrong with it.
    #[serde(skip)]
    pub error: String,
}

impl PartialEq for UnreadableEvent {
    fn eq(&self, other: &Self) -> bool {
        self.event_type == other.event_type && self.payload.get() == other.payload.get()
    }
}

impl Event {
    /// Reads a stored payload, of whatever version.
    #[must_use]
    pub fn decode(stream: StreamType, event_type: &str, event_version: u32, payload: &str) -> Self {
        let payload = upcast(event_type, event_version, payload);
        let read = match stream {
            StreamType::Pipeline => PipelineEvent::read(event_type, &payload).map(Self::Pipeline),
            StreamType::Job => JobEvent::read(event_type, &payload).map(Self::Job),
            StreamType::JobLog => JobLogEvent::read(event_type, &payload).map(Self::JobLog),
            StreamType::Runner => RunnerEvent::read(event_type, &payload).map(Self::Runner),
            StreamType::Claim => ClaimEvent::read(event_type, &payload).map(Self::Claim),
            StreamType::Group => GroupEvent::read(event_type, &payload).map(Self::Group),
            StreamType::Projection => ProjectionEvent::read(event_type, &payload).map(Self::Projection),
            StreamType::Webhook => WebhookEvent::read(event_type, &payload).map(Self::Webhook),
            StreamType::Archive => ArchiveEvent::read(event_type, &payload).map(Self::Archive),
        };
        read.unwrap_or_else(|error| {
            Self::Unreadable(UnreadableEvent {
                payload: RawValue::from_string(payload.clone().into_owned())
                    .unwrap_or_else(|_| RawValue::NULL.to_owned()),
                event_type: event_type.to_owned(),
                event_version,
                error: error.to_string(),
            })
        })
    }

    /// The stable names of all events that this build writes.
    pub fn types() -> impl Iterator<Item = &'static str> {
        [
            PipelineEvent::TYPES,
            JobEvent::TYPES,
            JobLogEvent::TYPES,
            RunnerEvent::TYPES,
            ClaimEvent::TYPES,
            GroupEvent::TYPES,
            ProjectionEvent::TYPES,
            WebhookEvent::TYPES,
            ArchiveEvent::TYPES,
        ]
        .into_iter()
        .flatten()
        .copied()
    }

    /// The stable name, such as `job.claimed`.
    #[must_use]
    pub fn event_type(&self) -> &str {
        match self {
            Self::Pipeline(event) => event.event_type(),
            Self::Job(event) => event.event_type(),
            Self::JobLog(event) => event.event_type(),
            Self::Runner(event) => event.event_type(),
            Self::Claim(event) => event.event_type(),
            Self::Group(event) => event.event_type(),
            Self::Projection(event) => event.event_type(),
            Self::Webhook(event) => event.event_type(),
            Self::Archive(event) => event.event_type(),
            Self::Unreadable(event) => &event.event_type,
        }
    }

    /// The version of the payload's schema: 1 for every type until one is changed in a way that readers notice.
    #[must_use]
    pub fn event_version(&self) -> u32 {
        match self {
            Self::Pipeline(_)
            | Self::Job(_)
            | Self::JobLog(_)
            | Self::Runner(_)
            | Self::Claim(_)
            | Self::Group(_)
            | Self::Projection(_)
            | Self::Webhook(_)
            | Self::Archive(_) => CURRENT_VERSION,
            Self::Unreadable(event) => event.event_version,
        }
    }
}

/// Names the variants of one aggregate's events, once: for writing them, and for listing them.
macro_rules! event_types {
    ($event:ident { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $event {
            /// The stable names of all of them.
            pub const TYPES: &'static [&'static str] = &[$($name),+];

            /// The stable name.
            #[must_use]
            pub fn event_type(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name),+
                }
            }

            /// Reads a payload of this type: straight into its struct, where the enum's own way would keep all fields
            /// until it has met the type among them.
            fn read(event_type: &str, payload: &str) -> serde_json::Result<Self> {
                match event_type {
                    $($name => serde_json::from_str(payload).map(Self::$variant),)+
                    // It fails, and its error says what there is.
                    _ => serde_json::from_str(payload),
                }
            }
        }
    };
}

event_types!(PipelineEvent {
    Created => "pipeline.created",
    Revised => "pipeline.revised",
    Deleted => "pipeline.deleted",
});

event_types!(JobEvent {
    Launched => "job.launched",
    Claimed => "job.claimed",
    Started => "job.started",
    LeaseExpired => "job.lease_expired",
    Requeued => "job.requeued",
    CancelRequested => "job.cancel_requested",
    ReportRefused => "job.report_refused",
    Completed => "job.completed",
    Cancelled => "job.cancelled",
    TimedOut => "job.timed_out",
    Purged => "job.purged",
});

event_types!(JobLogEvent {
    Appended => "job_log.appended",
});

event_types!(RunnerEvent {
    Registered => "runner.registered",
    HeartbeatRecorded => "runner.heartbeat_recorded",
    Lost => "runner.lost",
    Returned => "runner.returned",
    Removed => "runner.removed",
});

event_types!(ClaimEvent {
    Answered => "claim.answered",
});

event_types!(GroupEvent {
    PlaceTaken => "group.place_taken",
    PlaceFreed => "group.place_freed",
});

event_types!(ProjectionEvent {
    StreamRetried => "projection.stream_retried",
    EventSkipped => "projection.event_skipped",
});

event_types!(WebhookEvent {
    Created => "webhook.created",
    Paused => "webhook.paused",
    Resumed => "webhook.resumed",
    Deleted => "webhook.deleted",
});

event_types!(ArchiveEvent {
    SegmentArchived => "archive.segment_archived",
    SegmentReleased => "archive.segment_released",
    PurgeBegun => "archive.purge_begun",
    JobsPurged => "archive.jobs_purged",
    SegmentRemoved => "archive.segment_removed",
});

#[cfg(test)]
mod golden;
