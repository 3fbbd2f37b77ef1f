//! Our events as cqrs-es knows them, so that its aggregates, test framework and tools work on them.

use cqrs_es::DomainEvent;

use crate::job::JobEvent;
use crate::job_log::JobLogEvent;
use crate::pipeline::PipelineEvent;
use crate::runner::RunnerEvent;

/// The version of every payload schema that is written today; see [`crate::event::Event::event_version`].
pub(crate) const CURRENT_VERSION: u32 = 1;

macro_rules! domain_event {
    ($($event:ident),+) => {$(
        impl DomainEvent for $event {
            fn event_type(&self) -> String {
                Self::event_type(self).to_owned()
            }

            fn event_version(&self) -> String {
                CURRENT_VERSION.to_string()
            }
        }
    )+};
}

domain_event!(PipelineEvent, JobEvent, JobLogEvent, RunnerEvent);
