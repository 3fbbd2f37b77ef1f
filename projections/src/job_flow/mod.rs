//! What happened to jobs in each minute of the last day.
//!
//! The rows are a ring buffer of [`MINUTES`] minutes: each minute overwrites the one a day before, so the read model
//! never grows. A row counts only what happened within its minute. How many jobs waited or ran at its end can be
//! computed back from how many do now.

mod fold;
mod queries;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub(crate) use fold::JobFlow;
pub use queries::since;

/// Length of the ring buffer, in minutes: a day.
pub const MINUTES: u32 = 24 * 60;

/// What happened in one minute, by the clock of the server that recorded it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    /// The number of the minute, counted from 1970 UTC.
    pub minute: i64,
    /// Jobs launched.
    pub launched: u64,
    /// Attempts begun.
    pub claimed: u64,
    /// Attempts that ended, and whose jobs then waited again.
    pub requeued: u64,
    /// Jobs that succeeded.
    pub succeeded: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Jobs that took too long.
    pub timed_out: u64,
    /// Of the jobs that ended, those that no runner held then.
    pub ended_waiting: u64,
    /// Total time that the claimed jobs had waited since they could be claimed, in milliseconds.
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

    /// Jobs that ended, in any way.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.succeeded + self.failed + self.cancelled + self.timed_out
    }
}
