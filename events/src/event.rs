//! All events, with the name and version that each has on the wire.
//!
//! CONTRIBUTING.md says how to add an event, and how to change one.

use serde::Serialize;
use serde::de::Error;
use serde_json::value::RawValue;

use crate::archive::ArchiveEvent;
use crate::claim::ClaimEvent;
use crate::group::GroupEvent;
use crate::job::JobEvent;
use crate::job_log::JobLogEvent;
use crate::pipeline::PipelineEvent;
use crate::projection::ProjectionEvent;
use crate::runner::RunnerEvent;
use crate::stream::StreamType;
use crate::upcast::upcast;
use crate::webhook::WebhookEvent;

/// An event of any aggregate. Its JSON is the payload as the log stores it: the event's fields, and `type`.
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

/// An event that this build cannot read: a newer build wrote it, or it is damaged. Readers of the feed pass it on
/// unchanged; a projection parks its stream; an aggregate refuses to load.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct UnreadableEvent {
    /// The stored payload.
    pub payload: Box<RawValue>,
    /// The stored type.
    #[serde(skip)]
    pub event_type: String,
    /// The stored version; 0 if that is no number.
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
    /// Decodes a stored payload of any version. What this build cannot read becomes [`Event::Unreadable`].
    #[must_use]
    pub fn decode(stream: StreamType, event_type: &str, event_version: u32, payload: &str) -> Self {
        let (version, current) = upcast(event_type, event_version, payload);
        let read = match stream {
            StreamType::Pipeline => PipelineEvent::read(event_type, version, &current).map(Self::Pipeline),
            StreamType::Job => JobEvent::read(event_type, version, &current).map(Self::Job),
            StreamType::JobLog => JobLogEvent::read(event_type, version, &current).map(Self::JobLog),
            StreamType::Runner => RunnerEvent::read(event_type, version, &current).map(Self::Runner),
            StreamType::Claim => ClaimEvent::read(event_type, version, &current).map(Self::Claim),
            StreamType::Group => GroupEvent::read(event_type, version, &current).map(Self::Group),
            StreamType::Projection => {
                ProjectionEvent::read(event_type, version, &current).map(Self::Projection)
            }
            StreamType::Webhook => WebhookEvent::read(event_type, version, &current).map(Self::Webhook),
            StreamType::Archive => ArchiveEvent::read(event_type, version, &current).map(Self::Archive),
            StreamType::Unknown(_) => Err(Error::custom("this build knows no stream of this kind")),
        };
        read.unwrap_or_else(|error| Self::unreadable(event_type, event_version, payload, error.to_string()))
    }

    /// An event that cannot be read, with its stored payload.
    pub(crate) fn unreadable(event_type: &str, event_version: u32, payload: &str, error: String) -> Self {
        Self::Unreadable(UnreadableEvent {
            payload: RawValue::from_string(payload.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned()),
            event_type: event_type.to_owned(),
            event_version,
            error,
        })
    }

    /// Whether the state of the aggregate after this event can be told from it alone.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Group(GroupEvent::PlaceTaken(taken)) if taken.places.is_some())
            || matches!(self, Self::Runner(RunnerEvent::HeartbeatRecorded(heard)) if heard.registration.is_some())
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
            Self::Pipeline(event) => event.event_version(),
            Self::Job(event) => event.event_version(),
            Self::JobLog(event) => event.event_version(),
            Self::Runner(event) => event.event_version(),
            Self::Claim(event) => event.event_version(),
            Self::Group(event) => event.event_version(),
            Self::Projection(event) => event.event_version(),
            Self::Webhook(event) => event.event_version(),
            Self::Archive(event) => event.event_version(),
            Self::Unreadable(event) => event.event_version,
        }
    }
}

/// Declares the stable name and the current version of each variant of an aggregate's events. Encoding, decoding and
/// listing all derive from this one declaration.
macro_rules! event_types {
    ($event:ident { $($variant:ident => ($name:literal, $version:literal)),+ $(,)? }) => {
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

            /// The version of its payload's schema.
            #[must_use]
            pub fn event_version(&self) -> u32 {
                match self {
                    $(Self::$variant(_) => $version),+
                }
            }

            /// Decodes a payload of this type and version straight into its struct. The enum's own `Deserialize`
            /// would buffer all fields until it finds `type` among them.
            fn read(event_type: &str, event_version: u32, payload: &str) -> serde_json::Result<Self> {
                match event_type {
                    $($name => {
                        expect_version(event_version, $version)?;
                        serde_json::from_str(payload).map(Self::$variant)
                    })+
                    _ => Err(Error::custom("this build knows no event of this type")),
                }
            }
        }
    };
}

/// Refuses a payload of any other version, even if it would decode: a version is raised exactly where older readers
/// would misread the payload.
fn expect_version(stored: u32, current: u32) -> serde_json::Result<()> {
    if stored == current {
        return Ok(());
    }
    Err(Error::custom(format_args!("this build reads version {current} of it, and not version {stored}")))
}

event_types!(PipelineEvent {
    Created => ("pipeline.created", 1),
    Revised => ("pipeline.revised", 1),
    Deleted => ("pipeline.deleted", 1),
});

event_types!(JobEvent {
    Launched => ("job.launched", 1),
    Claimed => ("job.claimed", 1),
    Started => ("job.started", 1),
    LeaseShown => ("job.lease_shown", 1),
    LeaseExpired => ("job.lease_expired", 1),
    Requeued => ("job.requeued", 1),
    CancelRequested => ("job.cancel_requested", 1),
    ReportRefused => ("job.report_refused", 1),
    Completed => ("job.completed", 1),
    Cancelled => ("job.cancelled", 1),
    TimedOut => ("job.timed_out", 1),
    Purged => ("job.purged", 1),
});

event_types!(JobLogEvent {
    Appended => ("job_log.appended", 1),
});

event_types!(RunnerEvent {
    Registered => ("runner.registered", 1),
    HeartbeatRecorded => ("runner.heartbeat_recorded", 1),
    Lost => ("runner.lost", 1),
    Returned => ("runner.returned", 1),
    Removed => ("runner.removed", 1),
});

event_types!(ClaimEvent {
    Answered => ("claim.answered", 1),
});

event_types!(GroupEvent {
    PlaceTaken => ("group.place_taken", 1),
    PlaceFreed => ("group.place_freed", 1),
});

event_types!(ProjectionEvent {
    RebuildRequested => ("projection.rebuild_requested", 1),
    StreamRetried => ("projection.stream_retried", 1),
    EventSkipped => ("projection.event_skipped", 1),
});

event_types!(WebhookEvent {
    Created => ("webhook.created", 1),
    Paused => ("webhook.paused", 1),
    Resumed => ("webhook.resumed", 1),
    Deleted => ("webhook.deleted", 1),
});

event_types!(ArchiveEvent {
    SegmentArchived => ("archive.segment_archived", 1),
    SegmentReleased => ("archive.segment_released", 1),
    PurgeBegun => ("archive.purge_begun", 1),
    JobsPurged => ("archive.jobs_purged", 1),
    SegmentRemoved => ("archive.segment_removed", 1),
});

#[cfg(test)]
mod golden;
