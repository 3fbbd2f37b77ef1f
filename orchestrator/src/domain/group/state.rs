//! The state of a concurrency group, folded from its events.

use rivet_events::group::{GroupEvent, Place};
use serde::{Deserialize, Serialize};

/// The places that are taken. The leases of some may have ended since, of which the group does not know yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    /// In the order in which they were taken.
    pub places: Vec<Place>,
    /// Events since one that listed all places.
    pub since_whole: usize,
}

impl GroupState {
    /// Applies one event.
    #[must_use]
    pub fn evolve(mut self, event: GroupEvent) -> Self {
        self.since_whole += 1;
        match event {
            GroupEvent::PlaceTaken(taken) => match taken.places {
                Some(places) => self = Self { places, since_whole: 0 },
                None => self.places.push(Place { job_id: taken.job_id, lease_id: taken.lease_id }),
            },
            GroupEvent::PlaceFreed(freed) => self.places.retain(|place| place.lease_id != freed.lease_id),
        }
        self
    }
}
