//! Adapts our events to the traits of cqrs-es, so that its aggregates, test framework and tools work with them.

use cqrs_es::DomainEvent;
use cqrs_es::persist::{EventUpcaster, SerializedEvent};

use crate::archive::ArchiveEvent;
use crate::event::Event;
use crate::group::GroupEvent;
use crate::job::JobEvent;
use crate::job_log::JobLogEvent;
use crate::pipeline::PipelineEvent;
use crate::projection::ProjectionEvent;
use crate::runner::RunnerEvent;
use crate::upcast;
use crate::webhook::WebhookEvent;

/// The event type of one aggregate, which converts to and from [`Event`].
pub trait AggregateEvent: DomainEvent + Into<Event> {
    /// The event, if it is one of this aggregate's.
    fn from_event(event: &Event) -> Option<&Self>;
}

macro_rules! aggregate_event {
    ($($event:ident => $variant:ident),+) => {$(
        impl DomainEvent for $event {
            fn event_type(&self) -> String {
                Self::event_type(self).to_owned()
            }

            fn event_version(&self) -> String {
                Self::event_version(self).to_string()
            }
        }

        impl From<$event> for Event {
            fn from(event: $event) -> Self {
                Self::$variant(event)
            }
        }

        impl AggregateEvent for $event {
            fn from_event(event: &Event) -> Option<&Self> {
                if let Event::$variant(event) = event { Some(event) } else { None }
            }
        }
    )+};
}

aggregate_event!(
    PipelineEvent => Pipeline,
    JobEvent => Job,
    JobLogEvent => JobLog,
    RunnerEvent => Runner,
    GroupEvent => Group,
    ProjectionEvent => Projection,
    WebhookEvent => Webhook,
    ArchiveEvent => Archive
);

/// Our upcasters, for a cqrs-es store that reads our table.
#[must_use]
pub fn upcasters() -> Vec<Box<dyn EventUpcaster>> {
    vec![Box::new(Upcaster)]
}

struct Upcaster;

impl EventUpcaster for Upcaster {
    fn can_upcast(&self, event_type: &str, event_version: &str) -> bool {
        event_version.parse().is_ok_and(|version| upcast::is_retired(event_type, version))
    }

    fn upcast(&self, mut event: SerializedEvent) -> SerializedEvent {
        if let Ok(version) = event.event_version.parse() {
            let (version, payload) = upcast::upcast_value(&event.event_type, version, event.payload);
            event.event_version = version.to_string();
            event.payload = payload;
        }
        event
    }
}
