//! The versions of a pipeline as they were recorded, read from its stream: its state has only the newest one.
//!
//! A pipeline is created, revised, and at last deleted, so event n of its stream recorded version n.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rivet_events::id::PipelineId;
use rivet_events::log::ReadError;
use rivet_events::pipeline::{PipelineDefinition, PipelineEvent};
use rivet_events::{Envelope, Event, Metadata, Position, StreamId, Version};

use super::Commands;

/// A version as it was recorded. It never changes.
pub(crate) struct RecordedVersion {
    /// 1, 2, …
    pub number: u32,
    /// What it runs.
    pub definition: PipelineDefinition,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The version that it brought back, where it was a rollback.
    pub restores: Option<u32>,
    /// The position of its event.
    pub position: Position,
    /// Who made it, and by which request.
    pub metadata: Metadata,
}

impl Commands {
    /// A version by its number; `None` if there is no such version.
    pub(crate) async fn recorded_version(
        &self,
        pipeline_id: PipelineId,
        number: u32,
    ) -> Result<Option<RecordedVersion>, ReadError> {
        let last = self.recorded_versions(pipeline_id, number, 1).await?.pop();
        Ok(last.filter(|version| version.number == number))
    }

    /// The versions among the last `count` events up to version `until`, in order. Each has its whole script.
    pub(crate) async fn recorded_versions(
        &self,
        pipeline_id: PipelineId,
        until: u32,
        count: usize,
    ) -> Result<Vec<RecordedVersion>, ReadError> {
        let (stream, until) = (StreamId::pipeline(pipeline_id), Version(until.into()));
        let envelopes = self.log().read_stream_end(&stream, until, count).await?;
        Ok(envelopes.into_iter().filter_map(RecordedVersion::from_envelope).collect())
    }
}

impl RecordedVersion {
    fn from_envelope(envelope: Arc<Envelope>) -> Option<Self> {
        let Envelope { event, sequence, position, metadata, .. } = Arc::unwrap_or_clone(envelope);
        let Event::Pipeline(event) = event else { return None };
        let (definition, created_at, restores) = match event {
            PipelineEvent::Created(created) => (created.definition, created.created_at, None),
            PipelineEvent::Revised(revised) => (revised.definition, revised.revised_at, revised.restores),
            PipelineEvent::Deleted(_) => return None,
        };
        let number = u32::try_from(sequence.0).ok()?;
        Some(Self { number, definition, created_at, restores, position, metadata })
    }
}
