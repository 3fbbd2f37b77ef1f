//! The state of a pipeline, folded from its events.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rivet_events::id::PipelineId;
use rivet_events::pipeline::{InputSpec, PipelineDefinition, PipelineEvent, Tag};
use serde::{Deserialize, Serialize};

use crate::domain::weight::{of_texts, of_value};

/// A pipeline, by whether it exists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum PipelineState {
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
pub(crate) struct Revision {
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

/// Applies one event. An event that does not fit the state changes nothing.
pub(super) fn evolve(state: PipelineState, event: PipelineEvent) -> PipelineState {
    match (state, event) {
        (_, PipelineEvent::Created(e)) => PipelineState::Current(Revision {
            pipeline_id: e.pipeline_id,
            version: 1,
            definition: Arc::new(e.definition),
            created_at: e.created_at,
            revised_at: e.created_at,
        }),
        (PipelineState::Current(revision), PipelineEvent::Revised(e)) => PipelineState::Current(Revision {
            version: e.version,
            definition: Arc::new(e.definition),
            revised_at: e.revised_at,
            ..revision
        }),
        (PipelineState::Current(revision), PipelineEvent::Deleted(_)) => PipelineState::Deleted(revision),
        (
            state @ (PipelineState::Absent | PipelineState::Deleted(_)),
            PipelineEvent::Revised(_) | PipelineEvent::Deleted(_),
        ) => state,
    }
}

impl PipelineState {
    /// The current version, which a launch takes; `None` for a pipeline that does not exist or was deleted.
    #[must_use]
    pub(crate) fn current(&self) -> Option<&Revision> {
        match self {
            Self::Current(revision) => Some(revision),
            Self::Absent | Self::Deleted(_) => None,
        }
    }

    /// The newest version, even if the pipeline was deleted.
    #[must_use]
    pub(crate) fn newest(&self) -> Option<&Revision> {
        match self {
            Self::Current(revision) | Self::Deleted(revision) => Some(revision),
            Self::Absent => None,
        }
    }
}

/// The size of the definition.
pub(super) fn weight(state: &PipelineState) -> usize {
    state.newest().map_or(0, |newest| of_definition(&newest.definition))
}

fn of_definition(definition: &PipelineDefinition) -> usize {
    let PipelineDefinition { name, description, script, tags, required_modules, demands, inputs, config } =
        definition;
    let tags = tags.iter().flat_map(|tag| match tag {
        Tag::Text(text) => vec![text],
        Tag::Pair { key, value } => vec![key, value],
    });
    let inputs = inputs.iter().map(|(name, input)| {
        let InputSpec { kind, description, required: _, default, options } = input;
        let values = default.iter().chain(options.iter().flatten());
        of_texts([name, kind]) + of_texts(description) + values.map(of_value).sum::<usize>()
    });
    of_texts([name, script])
        + of_texts(description)
        + of_texts(tags)
        + of_texts(required_modules)
        + of_texts(demands)
        + inputs.sum::<usize>()
        + of_texts(config.env_vars.iter().flat_map(|(name, value)| [name, value]))
}
