//! What has come of a concurrency group's events.

use rivet_events::group::GroupEvent;
use rivet_events::id::{JobId, LeaseId};
use serde::{Deserialize, Serialize};

/// Who has a place, as far as the group knows: some of the leases may have ended since.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    /// In the order of taking.
    pub places: Vec<Place>,
}

/// A place in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The job that runs.
    pub job_id: JobId,
    /// The lease it is held under.
    pub lease_id: LeaseId,
}

impl GroupState {
    /// The state after one more event.
    #[must_use]
    pub fn evolve(mut self, event: GroupEvent) -> Self {
        match event {
            GroupEvent::PlaceTaken(e) => self.places.push(Place { job_id: e.job_id, lease_id: e.lease_id }),
            GroupEvent::PlaceFreed(e) => self.places.retain(|place| place.lease_id != e.lease_id),
        }
        self
    }
}
