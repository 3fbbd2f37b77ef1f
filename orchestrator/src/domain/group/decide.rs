//! The rules of a concurrency group.

use rivet_events::group::{GroupEvent, GroupPlaceFreed, GroupPlaceTaken, Place};

use super::command::{GroupCommand, TakePlace};
use super::state::GroupState;

/// At most so many events follow one that lists all places, or as many as there are places.
const WHOLE_EVERY: usize = 64;

/// Why a command to a group was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GroupError {
    /// As many jobs of the group are running as the limit allows.
    #[error("the concurrency group {group:?} already runs {limit} of its jobs")]
    Full {
        /// The group.
        group: String,
        /// The limit on running jobs.
        limit: u32,
    },
}

/// Decides a command: returns the events to record, or why it is refused.
pub(super) fn decide(state: &GroupState, command: GroupCommand) -> Result<Vec<GroupEvent>, GroupError> {
    match command {
        GroupCommand::TakePlace(take) => take_place(state, take),
    }
}

fn take_place(state: &GroupState, take: TakePlace) -> Result<Vec<GroupEvent>, GroupError> {
    let TakePlace { group, place, limit, ended, now } = take;
    let (ended, mut places): (Vec<Place>, Vec<Place>) =
        state.places.iter().partition(|place| ended.contains(place));
    let running = places.len();
    if u32::try_from(running).unwrap_or(u32::MAX) >= limit {
        return Err(GroupError::Full { group, limit });
    }
    places.push(place);
    let is_whole = state.since_whole + ended.len() >= WHOLE_EVERY.max(places.len());
    let freed = ended.into_iter().map(|place| {
        GroupEvent::PlaceFreed(GroupPlaceFreed {
            group: group.clone(),
            job_id: place.job_id,
            lease_id: place.lease_id,
            freed_at: now,
        })
    });
    let taken = GroupEvent::PlaceTaken(GroupPlaceTaken {
        group: group.clone(),
        job_id: place.job_id,
        lease_id: place.lease_id,
        taken_at: now,
        places: is_whole.then_some(places),
    });
    Ok(freed.chain([taken]).collect())
}
