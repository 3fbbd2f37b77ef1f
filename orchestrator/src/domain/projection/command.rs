//! What can be asked of a read model.

use chrono::{DateTime, Utc};
use rivet_events::{Position, StreamId};

/// A command to one read model.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum ProjectionCommand {
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

/// Build it anew from the log.
#[derive(Debug, Clone, PartialEq)]
pub struct RebuildProjection {
    /// The read model.
    pub projection: String,
    /// Why, for whoever reads it later.
    pub reason: Option<String>,
    /// When.
    pub now: DateTime<Utc>,
}

/// Try the event again that a stream was given up at.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryStream {
    /// The stream.
    pub parked: Parked,
    /// Why, for whoever reads it later.
    pub reason: Option<String>,
    /// When.
    pub now: DateTime<Utc>,
}

/// Go on with the stream, without the event that it was given up at.
#[derive(Debug, Clone, PartialEq)]
pub struct SkipEvent {
    /// The stream.
    pub parked: Parked,
    /// Why, for whoever reads it later.
    pub reason: Option<String>,
    /// When.
    pub now: DateTime<Utc>,
}

/// A stream that a read model has given up.
#[derive(Debug, Clone, PartialEq)]
pub struct Parked {
    /// The read model.
    pub projection: String,
    /// The stream.
    pub stream: StreamId,
    /// The event that could not be applied.
    pub position: Position,
    /// Why not.
    pub error: String,
}
