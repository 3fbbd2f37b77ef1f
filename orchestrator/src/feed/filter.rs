//! The filter of a follower: which events it wants.

use rivet_events::id::PipelineId;
use rivet_events::job_log::JobLogEvent;
use rivet_events::pipeline::PipelineEvent;
use rivet_events::{Envelope, Event, StreamType};
use serde::Deserialize;

/// The conditions that an event must meet, all of them, to pass. An empty filter passes every event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// It has one of these types, such as `job.claimed`; any type if the list is empty.
    pub(crate) types: Vec<String>,
    /// Its stream is of this kind.
    pub(crate) stream_type: Option<StreamType>,
    /// Its stream has this id, whatever its kind.
    pub(crate) stream_id: Option<String>,
    /// It belongs to this pipeline, to one of its jobs or to the log of one.
    pub(crate) pipeline_id: Option<PipelineId>,
}

impl Filter {
    /// Whether the event passes.
    pub(crate) fn passes(&self, envelope: &Envelope) -> bool {
        let Self { types, stream_type, stream_id, pipeline_id } = self;
        (types.is_empty() || types.iter().any(|wanted| wanted == envelope.event.event_type()))
            && stream_type.is_none_or(|kind| kind == envelope.stream.kind)
            && stream_id.as_ref().is_none_or(|id| *id == envelope.stream.id)
            && pipeline_id.is_none_or(|id| pipeline_of(&envelope.event) == Some(id))
    }
}

/// The pipeline that an event belongs to, if it belongs to one.
fn pipeline_of(event: &Event) -> Option<PipelineId> {
    match event {
        Event::Pipeline(event) => Some(match event {
            PipelineEvent::Created(created) => created.pipeline_id,
            PipelineEvent::Revised(revised) => revised.pipeline_id,
            PipelineEvent::Deleted(deleted) => deleted.pipeline_id,
        }),
        Event::Job(event) => Some(event.pipeline_id()),
        Event::JobLog(JobLogEvent::Appended(appended)) => Some(appended.pipeline_id),
        // Events of a newer build name their pipeline in the same member of the payload.
        Event::Unreadable(event) => {
            #[derive(Deserialize)]
            struct OfPipeline {
                pipeline_id: PipelineId,
            }
            let payload: Result<OfPipeline, _> = serde_json::from_str(event.payload.get());
            payload.ok().map(|payload| payload.pipeline_id)
        }
        Event::Runner(_)
        | Event::Claim(_)
        | Event::Group(_)
        | Event::Projection(_)
        | Event::Webhook(_)
        | Event::Archive(_) => None,
    }
}
