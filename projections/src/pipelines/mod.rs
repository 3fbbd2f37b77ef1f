//! Which pipelines there are, and what each runs now.

mod fold;
mod queries;
#[cfg(test)]
mod tests;

use chrono::serde::{ts_microseconds, ts_microseconds_option};
use chrono::{DateTime, Utc};
use rivet_events::id::PipelineId;
use rivet_events::pipeline::PipelineDefinition;
use serde::{Deserialize, Serialize};

pub(crate) use fold::Pipelines;
pub use queries::{PipelineFilter, find, find_at, list, list_at};

/// A pipeline. A deleted one keeps its row, which tells it from one that never existed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// The pipeline.
    pub id: PipelineId,
    /// The current version: 1, 2, …
    pub version: u32,
    /// When version 1 was created.
    #[serde(with = "ts_microseconds")]
    pub created_at: DateTime<Utc>,
    /// When the current version was created.
    #[serde(with = "ts_microseconds")]
    pub updated_at: DateTime<Utc>,
    /// When it was deleted.
    #[serde(with = "ts_microseconds_option")]
    pub deleted_at: Option<DateTime<Utc>>,
    /// What the current version runs.
    pub definition: PipelineDefinition,
}
