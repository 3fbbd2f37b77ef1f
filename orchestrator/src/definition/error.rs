//! Why a definition could not be read, worded so that the author of the script can fix it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::MAX_SCRIPT_BYTES;

/// Why no definition was read. All but the last two variants are errors of the script, and recur each time.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum DefinitionError {
    /// The script does not parse, or it failed while it ran.
    #[error("{}{message}", at(*.line))]
    Script {
        /// The message of Lua or of the script, without the line.
        message: String,
        /// Line of the script, from 1, where it is known.
        line: Option<u32>,
    },
    /// The script ran, but what it returned is not a definition.
    #[error("`{field}` {problem}")]
    NotADefinition {
        /// The place in the returned table, such as `stages[2].script`.
        field: String,
        /// What is wrong with it, as in "is missing" or "must be …".
        problem: String,
    },
    /// The script used a module that only the runner provides, while its definition was read.
    #[error(
        "{}`{module}` exists only while a job runs: use it inside a stage's `script` function, not at top level",
        at(*.line)
    )]
    RunnerModule {
        /// The module's global name.
        module: String,
        /// Line of the script, from 1, where it is known.
        line: Option<u32>,
    },
    /// The script went beyond a limit and was stopped.
    #[error("{}the script {limit}", at(*.line))]
    Limit {
        /// Which one.
        limit: Limit,
        /// Line of the script, from 1, where it is known.
        line: Option<u32>,
    },
    /// Every evaluation slot stayed taken, or the child got too little processor time; the caller may try again.
    #[error("the server is too busy to read a pipeline definition at this moment")]
    #[serde(skip)]
    Busy,
    /// The child process could not be started, or it broke for a reason that is not the script's.
    #[error("pipeline definitions cannot be read at this moment")]
    #[serde(skip)]
    Unavailable(#[source] std::io::Error),
}

/// A limit on reading a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Size of the script.
    Script,
    /// Processor time.
    Time,
    /// Memory.
    Memory,
    /// Depth of nested calls.
    Recursion,
    /// Size of the definition.
    Output,
}

impl fmt::Display for Limit {
    /// The predicate of "the script …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script => write!(f, "is longer than {MAX_SCRIPT_BYTES} bytes"),
            Self::Time => f.write_str("took too long to read"),
            Self::Memory => f.write_str("needs too much memory to read"),
            Self::Recursion => f.write_str("calls too deep"),
            Self::Output => f.write_str("returns too large a definition"),
        }
    }
}

impl From<Limit> for DefinitionError {
    fn from(limit: Limit) -> Self {
        Self::Limit { limit, line: None }
    }
}

fn at(line: Option<u32>) -> String {
    line.map(|line| format!("line {line}: ")).unwrap_or_default()
}
