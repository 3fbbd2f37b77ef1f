//! Reads a pipeline's definition by evaluating its Lua script.
//!
//! Anybody who may create a pipeline can submit a script, so it is untrusted and never runs inside the server.
//! [`Evaluator`] starts a short-lived child process of the same binary ([`child`]), sends it the script, and gets one
//! JSON document back. Three layers of isolation surround the script, each sufficient for its purpose:
//!
//! 1. the Lua state (`sandbox`) has no function that reaches outside, and a memory limit;
//! 2. the child process has limits that the kernel enforces: processor time, memory, no files, no processes;
//! 3. the parent bounds the wall-clock time, the size of the answer and the number of children, and reaps them all.
//!
//! The module `reading` specifies what a definition must look like.

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

pub use config::{InvalidConfig, MAX_GROUP_BYTES, MAX_PRIORITY, MAX_TIMEOUT_SECONDS, PartialConfig};
pub use error::{DefinitionError, Limit};
pub use evaluator::{Evaluator, Timeouts};

/// Longest script that is accepted, in bytes.
pub const MAX_SCRIPT_BYTES: usize = 1 << 20;

/// What a script defines of its pipeline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Display name, not blank.
    pub name: String,
    /// Display description.
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
