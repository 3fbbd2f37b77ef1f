//! What happened to jobs in each minute of the last day.
//!
//! A minute has its place in a ring of [`MINUTES`] rows and takes it from the one a day before, so the read model
//! never grows. A row holds only what changed within its minute: how many jobs waited or ran at its end follows from
//! how many do now.

mod fold;
mod queries;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub(crate) use fold::JobFlow;
pub use queries::since;

/// How far back it goes.
pub const MINUTES: u32 = 24 * 60;

/// What happened in one minute, by the clock of the server that recorded it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    /// Which one, counted from 1970 UTC.
    pub minute: i64,
    /// Jobs launched.
    pub launched: u64,
    /// Attempts begun.
    pub claimed: u64,
    /// Attempts after which their job waited again.
    pub requeued: u64,
    /// Jobs that succeeded.
    pub succeeded: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Jobs that took too long.
    pub timed_out: u64,
    /// Of the ended ones, those that no runner held at their end.
    pub ended_waiting: u64,
    /// How long the claimed ones had waited since they could have been claimed, together, in milliseconds.
    pub waited_ms: u64,
    /// The longest of these waits, in milliseconds.
    pub longest_wait_ms: u64,
}

impl Minute {
    /// The minute that a time is in, counted from 1970 UTC.
    #[must_use]
    pub fn of(time: DateTime<Utc>) -> i64 {
        time.timestamp().div_euclid(60)
    }

    /// Jobs that ended, in whatever way.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.succeeded + self.failed + self.cancelled + self.timed_out
    }
}
