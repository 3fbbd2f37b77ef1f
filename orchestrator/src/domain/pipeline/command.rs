//! The commands to a pipeline.

use chrono::{DateTime, Utc};
use rivet_events::id::PipelineId;
use rivet_events::pipeline::PipelineDefinition;

/// A command to one pipeline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PipelineCommand {
    Create(CreatePipeline),
    Revise(RevisePipeline),
    RollBack(RollBackPipeline),
    Delete(DeletePipeline),
}

command_names! {
    PipelineCommand {
        Create => "create",
        Revise => "revise",
        RollBack => "roll_back",
        Delete => "delete",
    }
}

/// Create the pipeline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreatePipeline {
    /// Its new id.
    pub pipeline_id: PipelineId,
    /// The definition of version 1.
    pub definition: Box<PipelineDefinition>,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Add a new version. Existing jobs keep the version that they were launched with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RevisePipeline {
    /// The definition of the new version.
    pub definition: Box<PipelineDefinition>,
    /// The versions one of which must be current; any if `None`.
    pub expected: Option<Vec<u32>>,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Add a new version with the definition of an earlier one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RollBackPipeline {
    /// The earlier version.
    pub version: u32,
    /// Its definition, as it was recorded; `None` if the pipeline has no such version.
    pub definition: Option<Box<PipelineDefinition>>,
    /// The versions one of which must be current; any if `None`.
    pub expected: Option<Vec<u32>>,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Delete the pipeline: it accepts no more launches.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeletePipeline {
    /// The versions one of which must be current; any if `None`.
    pub expected: Option<Vec<u32>>,
    /// Time of the command.
    pub now: DateTime<Utc>,
}
