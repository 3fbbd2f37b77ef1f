//! The events of a read model: operators decided to rebuild it, or what to do about an event that it could not apply.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::envelope::Position;

/// A fact about one read model. Stream: `projection/{name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum ProjectionEvent {
    #[serde(rename = "projection.rebuild_requested")]
    RebuildRequested(ProjectionRebuildRequested),
    #[serde(rename = "projection.stream_retried")]
    StreamRetried(ProjectionStreamRetried),
    #[serde(rename = "projection.event_skipped")]
    EventSkipped(ProjectionEventSkipped),
}

/// The read model is to be rebuilt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProjectionRebuildRequested {
    /// The read model.
    pub projection: String,
    /// Why, if a reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub requested_at: DateTime<Utc>,
}

/// The read model is to be rebuilt, and is to try again the event at which it parked a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProjectionStreamRetried {
    /// The read model.
    pub projection: String,
    /// The stream, such as `job/018f…`.
    pub stream: String,
    /// Position of that event.
    pub position: Position,
    /// What was wrong with it.
    pub error: String,
    /// Why, if a reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub retried_at: DateTime<Utc>,
}

/// The read model is to be rebuilt. From now on, every rebuild leaves out one event, and applies those that follow it
/// in its stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProjectionEventSkipped {
    /// The read model.
    pub projection: String,
    /// The stream of the event.
    pub stream: String,
    /// Position of the event.
    pub position: Position,
    /// What was wrong with it.
    pub error: String,
    /// Why, if a reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub skipped_at: DateTime<Utc>,
}
