//! What can be asked of a pipeline.

use chrono::{DateTime, Utc};
use rivet_events::id::PipelineId;
use rivet_events::pipeline::PipelineDefinition;

/// A command to one pipeline.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum PipelineCommand {
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

/// Keep a new pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct CreatePipeline {
    /// Its id, made for it.
    pub pipeline_id: PipelineId,
    /// What it runs.
    pub definition: Box<PipelineDefinition>,
    /// When.
    pub now: DateTime<Utc>,
}

/// Replace what it runs; jobs keep the version they were launched with.
#[derive(Debug, Clone, PartialEq)]
pub struct RevisePipeline {
    /// What it runs from now on.
    pub definition: Box<PipelineDefinition>,
    /// The version that it replaces; whichever is current where there is none.
    pub expected: Option<u32>,
    /// When.
    pub now: DateTime<Utc>,
}

/// Run again what an earlier version ran, as a version of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct RollBackPipeline {
    /// That version.
    pub version: u32,
    /// When.
    pub now: DateTime<Utc>,
}

/// Take no more launches.
#[derive(Debug, Clone, PartialEq)]
pub struct DeletePipeline {
    /// When.
    pub now: DateTime<Utc>,
}
