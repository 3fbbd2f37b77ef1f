//! When connections last broke, shared by all pools of a database.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::log::StoreError;

/// The class of errors with which a server ends sessions: it shuts down, or restarts after a crash.
const SHUTDOWN: &str = "57P";

/// The time of the last failure over any connection. A restart of the server breaks all of them, but only those in use
/// notice. A connection that has been idle since before it is most likely broken too, and is not used any more.
#[derive(Debug, Default)]
pub(super) struct Outages(Mutex<Option<Instant>>);

impl Outages {
    /// Notes that work over a connection has failed, unless the server has refused it and goes on.
    pub(super) fn note(&self, error: &StoreError) {
        if let Some(sqlx::Error::Database(refusal)) = error.downcast_ref()
            && !refusal.code().is_some_and(|code| code.starts_with(SHUTDOWN))
        {
            return;
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection may be used that has been idle since then.
    pub(super) fn spared(&self, idle_since: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|last| last < idle_since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_used_after_the_failure_is_spared() {
        let outages = Outages::default();
        let before = Instant::now();
        assert!(outages.spared(before));
        outages.note(&"broken".into());
        assert!(!outages.spared(before));
        while Instant::now() <= outages.0.lock().unwrap().unwrap() {}
        assert!(outages.spared(Instant::now()));
    }
}
