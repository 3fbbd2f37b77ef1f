//! Who was heard of when, in memory. Contact renews leases without a write; the log keeps one in a while.

use std::collections::HashMap;
use std::sync::RwLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::id::RunnerId;

/// The last contact of every runner that this process heard of.
#[derive(Debug, Default)]
pub(crate) struct Liveness(RwLock<HashMap<RunnerId, Contact>>);

#[derive(Debug, Clone, Copy)]
struct Contact {
    heard_at: DateTime<Utc>,
    recorded_at: Option<DateTime<Utc>>,
}

impl Liveness {
    /// Notes a sign of life. True if the last one that is known to be recorded is older than `resolution`: then
    /// this one should be recorded too.
    pub(crate) fn touch(&self, runner: &RunnerId, now: DateTime<Utc>, resolution: Duration) -> bool {
        let mut contacts = self.0.write().expect("invariant: no holder of the lock panics");
        if let Some(contact) = contacts.get_mut(runner) {
            contact.heard_at = contact.heard_at.max(now);
            contact
                .recorded_at
                .is_none_or(|recorded| (now - recorded).to_std().is_ok_and(|age| age >= resolution))
        } else {
            contacts.insert(runner.clone(), Contact { heard_at: now, recorded_at: None });
            true
        }
    }

    /// Notes that a sign of life is in the log.
    pub(crate) fn recorded(&self, runner: &RunnerId, at: DateTime<Utc>) {
        let mut contacts = self.0.write().expect("invariant: no holder of the lock panics");
        let contact = Contact { heard_at: at, recorded_at: Some(at) };
        contacts
            .entry(runner.clone())
            .and_modify(|known| {
                known.heard_at = known.heard_at.max(at);
                known.recorded_at = known.recorded_at.max(Some(at));
            })
            .or_insert(contact);
    }

    /// Forgets a runner that was removed.
    pub(crate) fn forget(&self, runner: &RunnerId) {
        self.0.write().expect("invariant: no holder of the lock panics").remove(runner);
    }

    /// When the runner was last heard of by this process.
    pub(crate) fn last_contact(&self, runner: &RunnerId) -> Option<DateTime<Utc>> {
        let contacts = self.0.read().expect("invariant: no holder of the lock panics");
        contacts.get(runner).map(|contact| contact.heard_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sign_of_life_after_the_resolution_is_worth_recording() {
        let liveness = Liveness::default();
        let runner: RunnerId = "r".parse().unwrap();
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let resolution = Duration::from_secs(30);
        assert!(liveness.touch(&runner, at(0), resolution));
        liveness.recorded(&runner, at(0));
        assert!(!liveness.touch(&runner, at(29), resolution));
        assert_eq!(liveness.last_contact(&runner), Some(at(29)));
        assert!(liveness.touch(&runner, at(30), resolution));
        liveness.forget(&runner);
        assert_eq!(liveness.last_contact(&runner), None);
    }
}
