//! The status of a job, and the result of an attempt, as events and the API say them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A job's state on the wire. A separate field, `phase`, tells finer states apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum JobStatus {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    TimedOut,
}

impl JobStatus {
    /// All states, in the order of a job's life.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled, Self::TimedOut];

    /// The states that are final.
    pub const TERMINAL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::Cancelled, Self::TimedOut];

    /// Whether the state is final.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        Self::TERMINAL.contains(&self)
    }

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::TimedOut => "TimedOut",
        }
    }
}

/// What a runner reports at the end of an attempt.
#[derive(Debug, Clone, PartialEq, Hash, Serialize, Deserialize, ToSchema)]
pub struct JobResult {
    /// Whether it went well.
    pub success: bool,
    /// Exit code of the work.
    pub exit_code: i32,
    /// Any JSON value.
    #[serde(default)]
    pub output: Option<serde_json::Value>,
    /// What went wrong.
    #[serde(default)]
    pub error_message: Option<String>,
}
