//! The state of a concurrency group, folded from its events.

use rivet_events::group::GroupEvent;
use rivet_events::id::{JobId, LeaseId};
use serde::{Deserialize, Serialize};

/// The places that are taken. The leases of some may have ended since, of which the group does not know yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    /// In the order in which they were taken.
    pub places: Vec<Place>,
}

/// One of the places for running jobs of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The running job.
    pub job_id: JobId,
    /// The lease under which it is held.
    pub lease_id: LeaseId,
}

impl GroupState {
    /// Applies one event.
    #[must_use]
    pub fn evolve(mut self, event: GroupEvent) -> Self {
        match event {
            GroupEvent::PlaceTaken(e) => self.places.push(Place { job_id: e.job_id, lease_id: e.lease_id }),
            GroupEvent::PlaceFreed(e) => self.places.retain(|place| place.lease_id != e.lease_id),
        }
        self
    }
}
