//! The state of a pipeline, folded from its events.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rivet_events::id::PipelineId;
use rivet_events::pipeline::{PipelineDefinition, PipelineEvent};
use serde::{Deserialize, Serialize};

/// A pipeline with all of its versions. They are kept after its deletion, since jobs refer to them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PipelineState {
    /// `None` before the first event.
    pub pipeline_id: Option<PipelineId>,
    /// All versions, version 1 first.
    pub versions: Vec<PipelineVersion>,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// One version of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineVersion {
    /// Its definition.
    pub definition: Arc<PipelineDefinition>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

impl PipelineState {
    /// Applies one event.
    #[must_use]
    pub fn evolve(mut self, event: PipelineEvent) -> Self {
        match event {
            PipelineEvent::Created(e) => {
                self.pipeline_id = Some(e.pipeline_id);
                self.push(e.definition, e.created_at);
            }
            PipelineEvent::Revised(e) => self.push(e.definition, e.revised_at),
            PipelineEvent::Deleted(_) => self.deleted = true,
        }
        self
    }

    fn push(&mut self, definition: PipelineDefinition, created_at: DateTime<Utc>) {
        self.versions.push(PipelineVersion { definition: Arc::new(definition), created_at });
    }

    /// The number and the definition of the current version, which a launch takes; `None` for a pipeline that does
    /// not exist or was deleted.
    #[must_use]
    pub fn current(&self) -> Option<(u32, &Arc<PipelineDefinition>)> {
        let version = self.versions.last().filter(|_| !self.deleted)?;
        Some((u32::try_from(self.versions.len()).unwrap_or(u32::MAX), &version.definition))
    }

    /// A version by its number, even if the pipeline was deleted.
    #[must_use]
    pub fn version(&self, number: u32) -> Option<&PipelineVersion> {
        self.versions.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }
}
