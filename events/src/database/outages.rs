//! Which failures of a database pass by themselves, and when connections last broke, shared by all of its pools.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::time::error::Elapsed;

use crate::log::StoreError;

/// The class of errors with which a server ends sessions: it shuts down, or restarts after a crash.
const SHUTDOWN: &str = "57P";

/// Classes of `PostgreSQL`'s errors that pass: of connections, of other transactions that are in the way or of a standby
/// that only reads, of memory, room or disks, and of operators. <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const PASSING_CLASSES: [&str; 7] = ["08", "25", "40", "53", "55", "57", "58"];

/// Codes of `SQLite`'s errors that pass: busy, locked, no memory, interrupted, I/O, full, cannot open.
/// <https://www.sqlite.org/rescode.html>
const PASSING_CODES: [i32; 7] = [5, 6, 7, 9, 10, 13, 14];

/// The time of the last failure over any connection. A restart of the server breaks all of them, but only those in use
/// notice. A connection that has been idle since before it is most likely broken too, and is not used any more.
#[derive(Debug, Default)]
pub(super) struct Outages(Mutex<Option<Instant>>);

impl Outages {
    /// Notes that work over a connection has failed, if that means that the connection is broken, or answers no more.
    pub(super) fn note(&self, error: &StoreError) {
        if is_broken(error) || error.is::<Elapsed>() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// Whether a connection may be used that has been idle since then.
    pub(super) fn spared(&self, idle_since: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|last| last < idle_since)
    }
}

/// Whether this is the error of a broken connection, and not the refusal of a server that goes on.
pub(super) fn is_broken(error: &StoreError) -> bool {
    match error.downcast_ref() {
        Some(sqlx::Error::Database(refusal)) => refusal.code().is_some_and(|code| code.starts_with(SHUTDOWN)),
        Some(_) => true,
        None => false,
    }
}

/// Whether a failure of a database passes by itself, as an outage does. What a database refuses for another reason, such
/// as a missing permission or a damaged file, somebody must mend.
#[must_use]
pub fn passes(error: &StoreError) -> bool {
    let Some(sqlx::Error::Database(refusal)) = error.downcast_ref() else { return true };
    refusal.code().is_none_or(|code| is_passing(&code))
}

/// The codes of `PostgreSQL` have five characters; those of `SQLite` are shorter numbers, whose lowest byte is the primary
/// one.
fn is_passing(code: &str) -> bool {
    match code.parse::<i32>() {
        Ok(number) if code.len() < 5 => PASSING_CODES.contains(&(number & 0xff)),
        Ok(_) | Err(_) => PASSING_CLASSES.iter().any(|class| code.starts_with(class)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn outages_pass_and_refusals_do_not() {
        for passing in ["57P01", "53100", "08006", "25006", "5", "13", "778"] {
            assert!(is_passing(passing), "{passing}");
        }
        for fault in ["42501", "42703", "XX001", "1", "8", "11", "26", "267"] {
            assert!(!is_passing(fault), "{fault}");
        }
        assert!(passes(&sqlx::Error::PoolTimedOut.into()));
    }

    #[test]
    fn only_what_was_used_after_the_failure_is_spared() {
        let outages = Outages::default();
        let before = Instant::now();
        assert!(outages.spared(before));
        outages.note(&sqlx::Error::WorkerCrashed.into());
        assert!(!outages.spared(before));
        assert!(outages.spared(Instant::now() + Duration::from_nanos(1)));
    }
}
