//! The state of a concurrency group, folded from its events.

use rivet_events::group::{GroupEvent, Place};
use serde::{Deserialize, Serialize};

/// The places that are taken. The leases of some may have ended since, of which the group does not know yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupState {
    /// In the order in which they were taken.
    pub places: Vec<Place>,
    /// Events since one that listed all places.
    pub since_whole: usize,
}

/// Applies one event.
pub(super) fn evolve(mut state: GroupState, event: GroupEvent) -> GroupState {
    state.since_whole += 1;
    match event {
        GroupEvent::PlaceTaken(taken) => match taken.places {
            Some(places) => state = GroupState { places, since_whole: 0 },
            None => state.places.push(Place { job_id: taken.job_id, lease_id: taken.lease_id }),
        },
        GroupEvent::PlaceFreed(freed) => state.places.retain(|place| place.lease_id != freed.lease_id),
    }
    state
}

/// The size of the places.
pub(super) fn weight(state: &GroupState) -> usize {
    size_of_val(state.places.as_slice())
}
