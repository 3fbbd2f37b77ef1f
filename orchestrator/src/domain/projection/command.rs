//! The commands to a read model.

use chrono::{DateTime, Utc};
use rivet_events::{Position, StreamId};

/// A command to one read model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ProjectionCommand {
    Rebuild(RebuildProjection),
    Retry(RetryStream),
    Skip(SkipEvent),
}

command_names! {
    ProjectionCommand {
        Rebuild => "rebuild",
        Retry => "retry",
        Skip => "skip",
    }
}

/// Rebuild the read model from the log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RebuildProjection {
    /// The read model.
    pub projection: String,
    /// The operator's reason, recorded with the event.
    pub reason: Option<String>,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Retry the event at which a stream was parked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RetryStream {
    /// The stream.
    pub parked: Parked,
    /// The operator's reason, recorded with the event.
    pub reason: Option<String>,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// Skip the event at which a stream was parked, and continue with the next one of the stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SkipEvent {
    /// The stream.
    pub parked: Parked,
    /// The operator's reason, recorded with the event.
    pub reason: Option<String>,
    /// Time of the command.
    pub now: DateTime<Utc>,
}

/// A stream that a read model has parked: it applies no more events of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parked {
    /// The read model.
    pub projection: String,
    /// The stream.
    pub stream: StreamId,
    /// The position of the event that could not be applied.
    pub position: Position,
    /// Why not.
    pub error: String,
}
