//! The commands to a concurrency group.

use chrono::{DateTime, Utc};
use rivet_events::group::Place;

/// A command to one group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum GroupCommand {
    TakePlace(TakePlace),
}

command_names! {
    GroupCommand {
        TakePlace => "take_place",
    }
}

/// Take a place for one more running job of the group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TakePlace {
    /// The group's name.
    pub group: String,
    /// The job and the lease that take it.
    pub place: Place,
    /// The limit on running jobs of the group, as the job was launched with.
    pub limit: u32,
    /// Places whose leases have ended. This cannot be out of date, since a lease that has ended stays ended.
    pub ended: Vec<Place>,
    /// Time of the command.
    pub now: DateTime<Utc>,
}
