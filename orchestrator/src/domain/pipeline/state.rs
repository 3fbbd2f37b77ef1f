//! The state of a pipeline, folded from its events.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rivet_events::id::PipelineId;
use rivet_events::pipeline::{PipelineDefinition, PipelineEvent};
use serde::{Deserialize, Serialize};

/// A pipeline, by whether it exists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PipelineState {
    /// Never created.
    #[default]
    Absent,
    /// Takes launches.
    Current(Revision),
    /// Deleted, at its last revision: jobs that were launched before still refer to it.
    Deleted(Revision),
}

/// The newest version of a pipeline. Earlier ones are only in its stream, whose event n recorded version n: a script
/// can be large, and a pipeline can have many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// The pipeline.
    pub pipeline_id: PipelineId,
    /// The number of the version.
    pub version: u32,
    /// Its definition.
    pub definition: Arc<PipelineDefinition>,
    /// When version 1 was created.
    pub created_at: DateTime<Utc>,
    /// When this version was.
    pub revised_at: DateTime<Utc>,
}

impl PipelineState {
    /// Applies one event. An event that does not fit the state changes nothing.
    #[must_use]
    pub fn evolve(self, event: PipelineEvent) -> Self {
        match (self, event) {
            (_, PipelineEvent::Created(e)) => Self::Current(Revision {
                pipeline_id: e.pipeline_id,
                version: 1,
                definition: Arc::new(e.definition),
                created_at: e.created_at,
                revised_at: e.created_at,
            }),
            (Self::Current(revision), PipelineEvent::Revised(e)) => Self::Current(Revision {
                version: e.version,
                definition: Arc::new(e.definition),
                revised_at: e.revised_at,
                ..revision
            }),
            (Self::Current(revision), PipelineEvent::Deleted(_)) => Self::Deleted(revision),
            (
                state @ (Self::Absent | Self::Deleted(_)),
                PipelineEvent::Revised(_) | PipelineEvent::Deleted(_),
            ) => state,
        }
    }

    /// The current version, which a launch takes; `None` for a pipeline that does not exist or was deleted.
    #[must_use]
    pub fn current(&self) -> Option<&Revision> {
        match self {
            Self::Current(revision) => Some(revision),
            Self::Absent | Self::Deleted(_) => None,
        }
    }

    /// The newest version, even if the pipeline was deleted.
    #[must_use]
    pub fn newest(&self) -> Option<&Revision> {
        match self {
            Self::Current(revision) | Self::Deleted(revision) => Some(revision),
            Self::Absent => None,
        }
    }
}
