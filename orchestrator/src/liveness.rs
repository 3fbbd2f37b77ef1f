//! Who was heard of when. Contact renews leases without an event: memory keeps it, replicas tell each other in
//! batches, and the log keeps one in a while.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rivet_events::contacts::Contacts;
use rivet_events::id::RunnerId;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// How often replicas tell each other whom they heard of.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How often contacts that nobody asks for any more are removed.
const FORGET_EVERY: Duration = Duration::from_hours(1);
/// Longer than any lease.
const FORGET_AFTER: Duration = Duration::from_hours(30 * 24);

/// The last contact of every runner that this process heard of.
#[derive(Debug)]
pub(crate) struct Liveness {
    contacts: Mutex<HashMap<RunnerId, Contact>>,
    /// A silence after which another replica may have recorded that the runner is lost.
    suspicious: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Contact {
    heard_at: DateTime<Utc>,
    /// The last sign of life that is known to be in the log.
    recorded_at: Option<DateTime<Utc>>,
    /// Whether the other replicas have been told.
    told: bool,
}

impl Liveness {
    /// Nobody was heard of yet; who is silent for `offline_after` is given up.
    pub(crate) fn new(offline_after: Duration) -> Self {
        // Half of it: what is heard here reaches the others a little later.
        Self { contacts: Mutex::default(), suspicious: offline_after / 2 }
    }

    /// Notes a sign of life. True if it should be recorded too: the last one that is known to be recorded is older
    /// than `resolution`, or the runner was silent for so long that the others may have given it up.
    pub(crate) fn touch(&self, runner: &RunnerId, now: DateTime<Utc>, resolution: Duration) -> bool {
        let mut contacts = self.contacts();
        let is_older = |than: Duration, at: DateTime<Utc>| (now - at).to_std().is_ok_and(|age| age >= than);
        if let Some(contact) = contacts.get_mut(runner) {
            if is_older(self.suspicious, contact.heard_at) {
                contact.recorded_at = None;
            }
            contact.heard_at = contact.heard_at.max(now);
            contact.told = false;
            contact.recorded_at.is_none_or(|recorded| is_older(resolution, recorded))
        } else {
            contacts.insert(runner.clone(), Contact { heard_at: now, recorded_at: None, told: false });
            true
        }
    }

    /// Notes that a sign of life is in the log.
    pub(crate) fn recorded(&self, runner: &RunnerId, at: DateTime<Utc>) {
        let contact = Contact { heard_at: at, recorded_at: Some(at), told: false };
        self.contacts()
            .entry(runner.clone())
            .and_modify(|known| {
                known.heard_at = known.heard_at.max(at);
                known.recorded_at = known.recorded_at.max(Some(at));
            })
            .or_insert(contact);
    }

    /// Forgets a runner: its next sign of life is recorded, whenever it comes.
    pub(crate) fn forget(&self, runner: &RunnerId) {
        self.contacts().remove(runner);
    }

    /// When the runner was last heard of by this process.
    pub(crate) fn last_contact(&self, runner: &RunnerId) -> Option<DateTime<Utc>> {
        self.contacts().get(runner).map(|contact| contact.heard_at)
    }

    /// Tells the other replicas of new contacts until `shutdown`, and then once more.
    pub(crate) async fn tell(&self, contacts: Contacts, clock: &dyn Clock, shutdown: CancellationToken) {
        if !contacts.is_shared() {
            return;
        }
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
                if let Err(error) = contacts.forget(FORGET_AFTER).await {
                    tracing::debug!(error = &*error, "old contacts are removed later");
                }
            }
        }
    }

    fn take_untold(&self, now: DateTime<Utc>) -> Vec<(RunnerId, Duration)> {
        let mut contacts = self.contacts();
        let untold = contacts.iter_mut().filter(|(_, contact)| !contact.told);
        untold
            .map(|(id, contact)| {
                contact.told = true;
                (id.clone(), (now - contact.heard_at).to_std().unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn only_a_sign_of_life_after_the_resolution_is_worth_recording() {
        let liveness = Liveness::new(Duration::from_secs(90));
        let runner: RunnerId = "r".parse().unwrap();
        let resolution = Duration::from_secs(30);
        assert!(liveness.touch(&runner, at(0), resolution));
        liveness.recorded(&runner, at(0));
        assert!(!liveness.touch(&runner, at(29), resolution));
        assert_eq!(liveness.last_contact(&runner), Some(at(29)));
        assert!(liveness.touch(&runner, at(30), resolution));
        liveness.forget(&runner);
        assert_eq!(liveness.last_contact(&runner), None);
    }

    #[test]
    fn a_sign_of_life_after_a_silence_is_worth_recording_whatever_is_recorded() {
        let liveness = Liveness::new(Duration::from_secs(90));
        let runner: RunnerId = "r".parse().unwrap();
        liveness.recorded(&runner, at(0));
        assert!(!liveness.touch(&runner, at(44), Duration::MAX));
        assert!(!liveness.touch(&runner, at(88), Duration::MAX));
        assert!(liveness.touch(&runner, at(133), Duration::MAX));
        // Until it is known to be recorded.
        assert!(liveness.touch(&runner, at(134), Duration::MAX));
        liveness.recorded(&runner, at(134));
        assert!(!liveness.touch(&runner, at(135), Duration::MAX));
    }

    #[test]
    fn a_contact_is_told_once_and_by_its_age() {
        let liveness = Liveness::new(Duration::from_secs(90));
        let runner: RunnerId = "r".parse().unwrap();
        liveness.touch(&runner, at(10), Duration::MAX);
        let news = liveness.take_untold(at(12));
        assert_eq!(news, [(runner, Duration::from_secs(2))]);
        assert_eq!(liveness.take_untold(at(13)), []);
        liveness.untell(&news);
        assert_eq!(liveness.take_untold(at(13)).len(), 1);
    }
}
