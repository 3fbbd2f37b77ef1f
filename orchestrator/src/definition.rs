//! Reads a pipeline's definition out of its Lua script.
//!
//! A script comes from anybody who may create a pipeline, so it never runs inside the server. [`Evaluator`]
//! starts a short-lived child process of the same binary ([`child`]), hands it the script, and takes one JSON
//! document back. Three fences stand around the script, each one sufficient for what it is there for:
//!
//! 1. the Lua state (`sandbox`) has no function that reaches out of it, and a memory limit of its own;
//! 2. the child process has limits that the kernel enforces: processor time, memory, no files, no processes;
//! 3. the parent bounds the wall time, the size of the answer and the number of children, and reaps them all.
//!
//! What a definition must look like is said once, in `reading`.

pub mod child;
mod config;
mod error;
mod evaluator;
mod node;
mod reading;
pub(crate) mod sandbox;

use std::collections::BTreeMap;

use rivet_events::pipeline::{InputSpec, Tag};
use serde::{Deserialize, Serialize};

pub use config::{InvalidConfig, MAX_PRIORITY, MAX_TIMEOUT_SECONDS, PartialConfig};
pub use error::{DefinitionError, Limit};
pub use evaluator::{Evaluator, Patience};

/// Longest script that is read, in bytes.
pub const MAX_SCRIPT_BYTES: usize = 1 << 20;

/// What a script says about its pipeline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Shown name, not blank.
    pub name: String,
    /// Shown description.
    pub description: Option<String>,
    /// The pairs of `runner`, in the order written; each demands the capability `key=value`.
    pub tags: Vec<Tag>,
    /// Capabilities demanded by name, in the order written.
    pub requires: Vec<String>,
    /// Declared inputs by name.
    pub inputs: BTreeMap<String, InputSpec>,
    /// The fields of `config` that the script sets.
    pub config: PartialConfig,
}
