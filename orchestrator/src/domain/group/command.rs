//! What can be asked of a concurrency group.

use chrono::{DateTime, Utc};

use super::state::Place;

/// A command to one group.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the variant is documented at its payload")]
pub enum GroupCommand {
    TakePlace(TakePlace),
}

command_names! {
    GroupCommand {
        TakePlace => "take_place",
    }
}

/// Let one more job of the group run.
#[derive(Debug, Clone, PartialEq)]
pub struct TakePlace {
    /// The group's name.
    pub group: String,
    /// For whom.
    pub place: Place,
    /// Running jobs that the job's launch allows the group.
    pub limit: u32,
    /// Places whose leases have ended. A lease that has ended stays so, so this cannot be out of date.
    pub ended: Vec<Place>,
    /// When.
    pub now: DateTime<Utc>,
}
