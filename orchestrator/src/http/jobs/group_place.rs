//! The place in its concurrency group that a job takes when it is claimed.

use rivet_events::job::Concurrency;
use rivet_events::log::StreamWrite;

use super::claim_error::ClaimError;
use crate::commands::{CommandError, Loaded};
use crate::domain::group::{GroupCommand, GroupError, GroupState, Place, TakePlace};
use crate::domain::job::{JobError, JobState};
use crate::http::state::AppState;
use crate::telemetry::chain;

/// Places of a full group that are given back at once.
const FREED_AT_ONCE: usize = 32;

/// Lets the group decide on one more place. It may be stale: what it takes for a running job either is one or has
/// ended, which is looked up, so it is never full by mistake. A place that it gives by mistake meets a conflict.
pub(super) async fn take_place(
    state: &AppState,
    group: &Loaded<GroupState>,
    place: Place,
    concurrency: &Concurrency,
) -> Result<(StreamWrite, Loaded<GroupState>), ClaimError> {
    let take = |ended| {
        let (group, limit) = (concurrency.group.clone(), concurrency.limit);
        GroupCommand::TakePlace(TakePlace { group, place, limit, ended, now: state.clock.now() })
    };
    let mut decided = group.decide(take(vec![]));
    if let Err(GroupError::Full { .. }) = decided {
        let ended = ended(state, &group.state.places, concurrency.limit).await?;
        decided = group.decide(take(ended));
    }
    Ok(decided?)
}

/// Places whose leases have ended, the oldest ones: enough for this claim and for some that follow.
async fn ended(state: &AppState, places: &[Place], limit: u32) -> Result<Vec<Place>, CommandError<JobError>> {
    let enough = places.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX)) + FREED_AT_ONCE;
    let mut ended = Vec::new();
    for place in places {
        if !is_held(state, place).await? {
            ended.push(*place);
        }
        if ended.len() == enough {
            break;
        }
    }
    Ok(ended)
}

/// Whether the lease of a place holds. Jobs are read from the log: the group may have a place of a claim that this
/// process has appended, but does not have in its cache yet.
async fn is_held(state: &AppState, place: &Place) -> Result<bool, CommandError<JobError>> {
    match state.commands.jobs.reload(place.job_id).await {
        Ok(job) => Ok(matches!(&*job.state,
            JobState::Running(running) if running.holder.lease_id == place.lease_id)),
        // It may run. The other places can still be given.
        Err(CommandError::Corrupt(stream, error)) => {
            let error = chain(&*error);
            tracing::warn!(stream.id = %stream, %error, "a job that cannot be read keeps the place in its group");
            Ok(true)
        }
        Err(error) => Err(error),
    }
}
