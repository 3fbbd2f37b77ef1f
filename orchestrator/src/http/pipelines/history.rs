//! The history of a pipeline: which versions it has, each read from its stream when it is asked for. Together they may
//! be larger than what fits into memory.

use rivet_events::id::PipelineId;
use rivet_events::log::ReadError;
use rivet_events::pipeline::PipelineEvent;
use rivet_events::{Event, StreamId, Version};

use crate::commands::{Commands, RecordedVersion};
use crate::domain::pipeline::PipelineError;
use crate::http::error::ApiError;
use crate::http::state::unknown_pipeline;

/// Versions that are read at once.
const BATCH: usize = 16;

/// The versions of a pipeline, as of when the history was looked up.
pub(super) struct History<'a> {
    commands: &'a Commands,
    pub(super) pipeline_id: PipelineId,
    /// The number of the newest version.
    pub(super) newest: u32,
    is_deleted: bool,
}

impl<'a> History<'a> {
    /// Looks up which versions there are. Those of a deleted pipeline stay.
    pub(super) async fn of(commands: &'a Commands, pipeline_id: PipelineId) -> Result<Self, ApiError> {
        // Not the state, which cannot be loaded if one of the events that it is made from cannot be read.
        let last = commands.log().read_stream_end(&StreamId::pipeline(pipeline_id), Version::MAX, 1).await?;
        let last = last.first().ok_or_else(|| unknown_pipeline(pipeline_id))?;
        let is_deleted = matches!(last.event, Event::Pipeline(PipelineEvent::Deleted(_)));
        let newest = last.sequence.0 - u64::from(is_deleted);
        Ok(Self { commands, pipeline_id, newest: u32::try_from(newest).unwrap_or(u32::MAX), is_deleted })
    }

    /// Whether a version is what a launch would run.
    pub(super) fn is_current(&self, version: &RecordedVersion) -> bool {
        version.number == self.newest && !self.is_deleted
    }

    /// A version by its number.
    pub(super) async fn version(&self, number: u32) -> Result<RecordedVersion, ApiError> {
        let found = self.commands.recorded_version(self.pipeline_id, number).await?;
        // One that was recorded after the look-up would be taken for an old version.
        let found = found.filter(|version| version.number <= self.newest);
        found.ok_or_else(|| PipelineError::NoVersion(number).into())
    }

    /// The versions up to number `until`, newest first: at most `limit`, and only until one does not fit.
    pub(super) async fn page(
        &self,
        until: u32,
        limit: usize,
        mut fits: impl FnMut(&RecordedVersion) -> bool,
    ) -> Result<Vec<RecordedVersion>, ReadError> {
        let (mut page, mut until) = (Vec::new(), until.min(self.newest));
        while until > 0 && page.len() < limit {
            let count = BATCH.min(limit - page.len());
            let versions = self.commands.recorded_versions(self.pipeline_id, until, count).await?;
            for version in versions.into_iter().rev() {
                if !fits(&version) {
                    return Ok(page);
                }
                page.push(version);
            }
            until = until.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        }
        Ok(page)
    }
}
