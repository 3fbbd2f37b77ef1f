//! When each runner last made contact.
//!
//! Every contact of a runner renews its leases, but is too frequent to be an event each time. So contacts are kept in
//! memory, replicas tell each other of them through a table once a second, and only now and then is one recorded in
//! the log, as a heartbeat (see [`Liveness::touch`]).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rivet_events::contacts::Contacts;
use rivet_events::id::RunnerId;
use rivet_events::{Version, elapsed, is_mistaken};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// How often a replica writes its new contacts to the table that the replicas share.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How often old contacts are deleted, from that table and from memory.
const FORGET_EVERY: Duration = Duration::from_hours(1);
/// Age from which a contact is deleted. What waits for longer than this, such as a very long lease, then counts from the
/// last heartbeat in the log, which may be a little older.
const FORGET_AFTER: Duration = Duration::from_hours(30 * 24);

/// The last contact of every runner that made contact with this process.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    contacts: Mutex<HashMap<RunnerId, Contact>>,
}

#[derive(Debug, Clone, Copy)]
struct Contact {
    heard_at: DateTime<Utc>,
    /// The last contact that is known to be recorded in the log, unless the runner was removed or lost since.
    recorded_at: Option<DateTime<Utc>>,
    /// The version of the runner that the above was last learned from.
    version: Version,
    /// Whether it is in the table that the replicas share.
    told: bool,
}

impl Liveness {
    /// Notes a contact. True if it should also be recorded in the log: none is known to be recorded, or the last one that
    /// is, is at least `resolution` old.
    pub(crate) fn touch(&self, runner: &RunnerId, now: DateTime<Utc>, resolution: Duration) -> bool {
        let mut contacts = self.contacts();
        let contact = contacts.entry(runner.clone()).or_insert_with(|| Contact::first(now));
        // One that is yet to come was noted before the clock was set back.
        contact.heard_at = if is_mistaken(contact.heard_at, now) { now } else { contact.heard_at.max(now) };
        contact.told = false;
        contact.recorded_at.is_none_or(|recorded| elapsed(recorded, now) >= resolution)
    }

    /// Notes that the runner's contact at `at` is recorded in the log, at this version of the runner.
    pub(crate) fn recorded(&self, runner: &RunnerId, at: DateTime<Utc>, version: Version) {
        let mut contacts = self.contacts();
        let contact = contacts.entry(runner.clone()).or_insert_with(|| Contact::first(at));
        contact.heard_at = contact.heard_at.max(at);
        if contact.version <= version {
            contact.recorded_at = contact.recorded_at.max(Some(at));
            contact.version = version;
        }
    }

    /// Notes that the log shows the runner as removed or lost, at this version of it, so that its next contact is
    /// recorded there, however soon it comes. Its last contact stays known: it may still hold jobs, and their leases
    /// count from it.
    pub(crate) fn unrecorded(&self, runner: &RunnerId, version: Version) {
        let mut contacts = self.contacts();
        if let Some(contact) = contacts.get_mut(runner).filter(|contact| contact.version < version) {
            contact.recorded_at = None;
            contact.version = version;
        }
    }

    /// When the runner last made contact with this process.
    pub(crate) fn last_contact(&self, runner: &RunnerId) -> Option<DateTime<Utc>> {
        self.contacts().get(runner).map(|contact| contact.heard_at)
    }

    /// Writes new contacts to the table that the replicas share (over SQLite there is none), once a second until
    /// `shutdown`, and then once more. Forgets, there and here, who was silent for [`FORGET_AFTER`].
    pub(crate) async fn tell(&self, contacts: Contacts, clock: &dyn Clock, shutdown: CancellationToken) {
        let mut forgotten: Option<Instant> = None;
        let mut stopping = false;
        while !stopping {
            stopping = tokio::time::timeout(TELL_EVERY, shutdown.cancelled()).await.is_ok();
            let news = self.take_untold(clock.now());
            if let Err(error) = contacts.tell(&news).await {
                tracing::warn!(error = &*error, "the other replicas cannot be told of contacts");
                self.untell(&news);
            }
            if forgotten.is_none_or(|at| at.elapsed() > FORGET_EVERY) {
                forgotten = Some(Instant::now());
                self.forget_silent(clock.now());
                if let Err(error) = contacts.delete_silent(FORGET_AFTER).await {
                    tracing::debug!(error = &*error, "old contacts are removed later");
                }
            }
        }
    }

    /// Forgets runners that have been silent for [`FORGET_AFTER`].
    fn forget_silent(&self, now: DateTime<Utc>) {
        self.contacts().retain(|_, contact| elapsed(contact.heard_at, now) < FORGET_AFTER);
    }

    fn take_untold(&self, now: DateTime<Utc>) -> Vec<(RunnerId, Duration)> {
        let mut contacts = self.contacts();
        let untold = contacts.iter_mut().filter(|(_, contact)| !contact.told);
        untold
            .map(|(id, contact)| {
                contact.told = true;
                (id.clone(), elapsed(contact.heard_at, now))
            })
            .collect()
    }

    fn untell(&self, news: &[(RunnerId, Duration)]) {
        let mut contacts = self.contacts();
        for (id, _) in news {
            if let Some(contact) = contacts.get_mut(id) {
                contact.told = false;
            }
        }
    }

    fn contacts(&self) -> MutexGuard<'_, HashMap<RunnerId, Contact>> {
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contact {
    fn first(at: DateTime<Utc>) -> Self {
        Self { heard_at: at, recorded_at: None, version: Version::default(), told: false }
    }
}

#[cfg(test)]
mod tests {
    use rivet_events::database::Database;

    use super::*;
    use crate::clock::SystemClock;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn only_a_sign_of_life_after_the_resolution_is_worth_recording() {
        let liveness = Liveness::default();
        let runner: RunnerId = "r".parse().unwrap();
        let resolution = Duration::from_secs(30);
        assert!(liveness.touch(&runner, at(0), resolution));
        liveness.recorded(&runner, at(0), Version(1));
        assert!(!liveness.touch(&runner, at(29), resolution));
        assert_eq!(liveness.last_contact(&runner), Some(at(29)));
        assert!(liveness.touch(&runner, at(30), resolution));
        // The clock is set back.
        liveness.touch(&runner, at(-31), resolution);
        assert_eq!(liveness.last_contact(&runner), Some(at(-31)));
    }

    #[test]
    fn who_is_removed_or_lost_keeps_its_last_contact_and_is_recorded_by_the_next() {
        let liveness = Liveness::default();
        let runner: RunnerId = "r".parse().unwrap();
        liveness.recorded(&runner, at(0), Version(1));
        assert!(!liveness.touch(&runner, at(24), Duration::MAX));
        liveness.unrecorded(&runner, Version(2));
        assert_eq!(liveness.last_contact(&runner), Some(at(24)));
        assert!(liveness.touch(&runner, at(25), Duration::MAX));
    }

    #[test]
    fn what_is_learned_out_of_order_goes_by_the_version_of_the_runner() {
        let liveness = Liveness::default();
        let runner: RunnerId = "r".parse().unwrap();
        liveness.touch(&runner, at(0), Duration::MAX);
        // It was removed just after its contact was recorded, and this is learned first.
        liveness.unrecorded(&runner, Version(2));
        liveness.recorded(&runner, at(0), Version(1));
        assert!(liveness.touch(&runner, at(1), Duration::MAX));
        // It has registered again before its removal is learned from the log.
        liveness.recorded(&runner, at(1), Version(3));
        liveness.unrecorded(&runner, Version(2));
        assert!(!liveness.touch(&runner, at(2), Duration::MAX));
    }

    #[test]
    fn who_was_silent_for_longer_than_any_lease_is_forgotten() {
        let liveness = Liveness::default();
        let [old, young]: [RunnerId; 2] = ["old", "young"].map(|id| id.parse().unwrap());
        liveness.touch(&old, at(0), Duration::MAX);
        liveness.touch(&young, at(1), Duration::MAX);
        liveness.forget_silent(at(0) + FORGET_AFTER);
        assert_eq!([&old, &young].map(|runner| liveness.last_contact(runner)), [None, Some(at(1))]);
    }

    #[tokio::test]
    async fn who_was_silent_is_forgotten_even_where_there_is_nobody_to_tell() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("rivet.db").display());
        let database = Database::connect(&url).await.unwrap();
        let liveness = Liveness::default();
        let runner: RunnerId = "r".parse().unwrap();
        liveness.touch(&runner, at(0), Duration::MAX);
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        liveness.tell(Contacts::new(&database), &SystemClock, shutdown).await;
        assert_eq!(liveness.last_contact(&runner), None);
        database.close().await;
    }

    #[test]
    fn a_contact_is_told_once_and_by_its_age() {
        let liveness = Liveness::default();
        let runner: RunnerId = "r".parse().unwrap();
        liveness.touch(&runner, at(10), Duration::MAX);
        let news = liveness.take_untold(at(12));
        assert_eq!(news, [(runner, Duration::from_secs(2))]);
        assert_eq!(liveness.take_untold(at(13)), []);
        liveness.untell(&news);
        assert_eq!(liveness.take_untold(at(13)).len(), 1);
    }
}
