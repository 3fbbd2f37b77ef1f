//! The events of a concurrency group: which jobs hold its places.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::{JobId, LeaseId};

/// A fact about one concurrency group. Stream: `group/{name}`. A place is taken in the append of the claim that
/// needs it, so that a group never runs more than it may.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "each variant is documented at its payload")]
pub enum GroupEvent {
    #[serde(rename = "group.place_taken")]
    PlaceTaken(GroupPlaceTaken),
    #[serde(rename = "group.place_freed")]
    PlaceFreed(GroupPlaceFreed),
}

/// A job of the group was claimed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GroupPlaceTaken {
    /// The group.
    pub group: String,
    /// The job.
    pub job_id: JobId,
    /// The lease that it is held under.
    pub lease_id: LeaseId,
    /// When.
    pub taken_at: DateTime<Utc>,
    /// All places that are taken after this event, in the order in which they were taken; only now and then, so that
    /// a group can be loaded from the end of its stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<Vec<Place>>,
}

/// One of the places for running jobs of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = GroupPlace)]
pub struct Place {
    /// The running job.
    pub job_id: JobId,
    /// The lease under which it is held.
    pub lease_id: LeaseId,
}

/// A lease was found to have ended when another job needed its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GroupPlaceFreed {
    /// The group.
    pub group: String,
    /// The job.
    pub job_id: JobId,
    /// The lease that ended.
    pub lease_id: LeaseId,
    /// When it was found.
    pub freed_at: DateTime<Utc>,
}
