//! The body of answers about pipelines, which rows of the read model and states of the aggregate are converted into.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rivet_events::id::PipelineId;
use rivet_events::pipeline::{InputSpec, PipelineConfig, PipelineDefinition, Tag};
use rivet_projections::pipelines;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::pipeline::{PipelineState, Revision};

/// A pipeline.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "01a21390-aaaa-7bcd-8000-0123456789ab",
    "version": 1,
    "name": "hello",
    "description": null,
    "script": "return { name = 'hello', stages = { { name = 'greet', script = function() log.info('Hello') end } } }",
    "required_modules": [],
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z",
    "tags": [],
    "config": {"timeout_seconds": null, "max_retries": 0, "env_vars": {}},
    "demands": [],
    "inputs": {},
}))]
pub(in crate::http) struct Pipeline {
    id: PipelineId,
    pub(in crate::http) version: u32,
    name: String,
    description: Option<String>,
    script: String,
    required_modules: Vec<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    tags: Vec<Tag>,
    config: PipelineConfig,
    demands: Vec<String>,
    inputs: BTreeMap<String, InputSpec>,
}

impl Pipeline {
    /// From the read model.
    pub(in crate::http) fn from_row(row: pipelines::Pipeline) -> Self {
        Self::new(row.id, row.version, row.definition, row.created_at, row.updated_at)
    }

    /// From the aggregate; `None` for a pipeline that never existed or was deleted.
    pub(in crate::http) fn from_state(state: &PipelineState) -> Option<Self> {
        let Revision { pipeline_id, version, definition, created_at, revised_at } = state.current()?;
        let definition = PipelineDefinition::clone(definition);
        Some(Self::new(*pipeline_id, *version, definition, *created_at, *revised_at))
    }

    fn new(
        id: PipelineId,
        version: u32,
        definition: PipelineDefinition,
        created_at: DateTime<Utc>,
        updated_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            version,
            name: definition.name,
            description: definition.description,
            script: definition.script,
            required_modules: definition.required_modules,
            created_at,
            updated_at,
            tags: definition.tags,
            config: definition.config,
            demands: definition.demands,
            inputs: definition.inputs,
        }
    }
}
