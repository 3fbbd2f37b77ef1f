//! Copies of one request, which a client has sent more than once under the same key: only the latest copy may claim,
//! and the older ones get its answer.
//!
//! A client that has left a long poll may send the request again, once and without waiting, to learn whether it was
//! given a job. The answer to that is final: no older copy, whose client no longer listens, may win a job later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rivet_events::id::RunnerId;
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::{Instant, timeout_at};

/// What identifies a request: the runner that sent it, and its request key.
pub(crate) type RequestName = (RunnerId, String);

/// The requests with a key that are being handled in this process.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<HashMap<RequestName, Arc<Request>>>);

/// What the copies of one request share.
#[derive(Debug, Default)]
struct Request {
    latest: watch::Sender<Latest>,
    /// Held by the copy that is claiming.
    claiming: Arc<tokio::sync::Mutex<()>>,
}

/// The latest copy of a request.
#[derive(Debug, Default)]
struct Latest {
    number: u64,
    /// Whether it has been answered, or dropped.
    is_over: bool,
}

/// One copy of a request, kept for as long as its handler runs or a claim that it has begun.
#[derive(Debug)]
pub(crate) struct RequestCopy {
    requests: Arc<Requests>,
    name: Option<RequestName>,
    request: Arc<Request>,
    number: u64,
}

/// The right to claim for a request; one copy at a time has it. It may outlive the client of its copy, since a claim
/// that has begun runs to completion.
#[derive(Debug)]
pub(crate) struct ClaimPermit {
    #[expect(dead_code, reason = "held for its drop")]
    guard: OwnedMutexGuard<()>,
    #[expect(
        dead_code,
        reason = "held for its drop: keeps the request in the map, so that later copies find this permit taken"
    )]
    copy: Arc<RequestCopy>,
}

impl Requests {
    /// Registers one more copy, the latest from now on. A request without a name has no other copies.
    pub(super) fn begin(self: &Arc<Self>, name: Option<RequestName>) -> Arc<RequestCopy> {
        let mut requests = self.lock();
        let request = name.clone().map(|name| Arc::clone(requests.entry(name).or_default()));
        let request = request.unwrap_or_default();
        let mut number = 0;
        request.latest.send_modify(|latest| {
            *latest = Latest { number: latest.number + 1, is_over: false };
            number = latest.number;
        });
        Arc::new(RequestCopy { requests: Arc::clone(self), name, request, number })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestName, Arc<Request>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestCopy {
    /// Waits until no other copy is claiming, and takes the right to claim; `None` if a later copy has arrived.
    pub(crate) async fn permit(self: &Arc<Self>) -> Option<ClaimPermit> {
        let guard = Arc::clone(&self.request.claiming).lock_owned().await;
        self.is_latest().then(|| ClaimPermit { guard, copy: Arc::clone(self) })
    }

    /// Waits until a later copy arrives.
    pub(crate) async fn superseded(&self) {
        self.wait_for(|latest| latest.number != self.number).await;
    }

    /// If this is not the latest copy, waits until that one is answered, or until `deadline`.
    pub(crate) async fn latest_is_over(&self, deadline: Instant) {
        if !self.is_latest() {
            // After a timeout nothing is left to do: the latest copy has a client of its own.
            let _ = timeout_at(deadline, self.wait_for(|latest| latest.is_over)).await;
        }
    }

    fn is_latest(&self) -> bool {
        self.request.latest.borrow().number == self.number
    }

    async fn wait_for(&self, condition: impl FnMut(&Latest) -> bool) {
        let mut latest = self.request.latest.subscribe();
        latest.wait_for(condition).await.expect("invariant: a copy keeps what it shares");
    }
}

impl Drop for RequestCopy {
    fn drop(&mut self) {
        let mut requests = self.requests.lock();
        if self.is_latest() {
            self.request.latest.send_modify(|latest| latest.is_over = true);
        }
        // The last copy: the two references are the map's and its own.
        if let Some(name) = &self.name
            && Arc::strong_count(&self.request) == 2
        {
            requests.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn name(key: &str) -> RequestName {
        ("r".parse().unwrap(), key.to_owned())
    }

    #[tokio::test]
    async fn only_the_latest_copy_may_claim() {
        let requests = Arc::new(Requests::default());
        let older = requests.begin(Some(name("a")));
        assert!(older.permit().await.is_some());
        let latest = requests.begin(Some(name("a")));
        older.superseded().await;
        assert!(older.permit().await.is_none());
        assert!(latest.permit().await.is_some());
    }

    #[tokio::test]
    async fn other_requests_are_not_concerned() {
        let requests = Arc::new(Requests::default());
        let copies = [Some(name("a")), Some(name("b")), None, None].map(|name| requests.begin(name));
        for copy in &copies {
            assert!(copy.permit().await.is_some());
        }
    }

    #[tokio::test]
    async fn a_claim_that_was_begun_is_seen_through_before_a_later_copy_goes_on() {
        for client_has_left in [false, true] {
            let requests = Arc::new(Requests::default());
            let mut older = Some(requests.begin(Some(name("a"))));
            let claiming = older.as_ref().unwrap().permit().await;
            if client_has_left {
                older = None;
            }
            let latest = requests.begin(Some(name("a")));
            let mut permit = std::pin::pin!(latest.permit());
            assert!(futures_util::poll!(&mut permit).is_pending(), "{older:?}");
            drop(claiming);
            assert!(permit.await.is_some(), "{older:?}");
        }
    }

    #[tokio::test]
    async fn an_older_copy_waits_for_the_end_of_the_latest() {
        let requests = Arc::new(Requests::default());
        let (older, latest) = (requests.begin(Some(name("a"))), requests.begin(Some(name("a"))));
        let in_a_minute = Instant::now() + Duration::from_mins(1);
        latest.latest_is_over(in_a_minute).await;
        let mut over = std::pin::pin!(older.latest_is_over(in_a_minute));
        assert!(futures_util::poll!(&mut over).is_pending());
        drop(latest);
        over.await;
    }

    #[test]
    fn what_is_answered_is_forgotten() {
        let requests = Arc::new(Requests::default());
        let copies = [(); 3].map(|()| requests.begin(Some(name("a"))));
        drop(copies);
        assert!(requests.lock().is_empty());
    }
}
