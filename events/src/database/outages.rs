//! When connections last broke, shared by all pools of a database.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::time::error::Elapsed;

use crate::log::StoreError;

/// The class of errors with which a server ends sessions: it shuts down, or restarts after a crash.
const SHUTDOWN: &str = "57P";

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
