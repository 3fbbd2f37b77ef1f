//! The feed: the log as readers follow it, however many there are.
//!
//! A [`Follower`] pulls: it reads on from its position when its client is ready for more, so that a slow client holds
//! up nobody and loses nothing, and nothing is queued for it. What is new is read from the log once, and encoded once,
//! by whoever comes first; the tail keeps it for the others. Who is further behind reads the log itself, a few at a
//! time.

mod body;
pub(crate) mod cloud_event;
mod event;
mod filter;
mod follower;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rivet_events::Position;
use rivet_events::log::{EventLog, ReadError, Recent};
use tokio::sync::Semaphore;

pub(crate) use body::EventBody;
pub(crate) use event::FeedEvent;
pub(crate) use filter::Filter;
pub(crate) use follower::Follower;

/// Events of the tail at most.
const TAIL_EVENTS: usize = 8_192;
/// Bytes of their JSON at most.
const TAIL_BYTES: usize = 16 << 20;
/// Readers of what the tail does not hold, at a time: the others of the process need connections too.
const HISTORY_READERS: usize = 4;

/// The log, shared by those who follow it. Clones are the same.
#[derive(Clone)]
pub(crate) struct Feed(Arc<Inner>);

struct Inner {
    log: Arc<dyn EventLog>,
    /// The last events that readers of this process were given, for those who are about to ask for them.
    tail: Mutex<Recent<Arc<FeedEvent>>>,
    /// The right to read what comes after the tail: one reads it for all.
    next: tokio::sync::Mutex<()>,
    /// The rights to read what comes before it.
    history: Semaphore,
}

impl Feed {
    /// The feed of a log.
    pub(crate) fn new(log: Arc<dyn EventLog>) -> Self {
        Self(Arc::new(Inner {
            log,
            tail: Mutex::new(Recent::new(TAIL_EVENTS, TAIL_BYTES)),
            next: tokio::sync::Mutex::default(),
            history: Semaphore::new(HISTORY_READERS),
        }))
    }

    /// The events after `position` that pass the filter, as they come.
    pub(crate) fn follow(&self, filter: Filter, position: Position) -> Follower {
        Follower::new(self.clone(), self.0.log.watch(), filter, position)
    }

    /// The position of the last event.
    pub(crate) async fn head(&self) -> Result<Position, ReadError> {
        self.0.log.head().await
    }

    /// Up to `limit` events after `after`, in order, without gaps; none at the end of the log.
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<FeedEvent>>, ReadError> {
        if let Some(events) = self.tail().after(after, limit) {
            return Ok(events);
        }
        if self.tail().has_passed(after) {
            let _right = self.0.history.acquire().await.expect("invariant: the semaphore is never closed");
            return self.read_log(after, limit).await;
        }
        let _right = self.0.next.lock().await;
        // Somebody may have read it meanwhile.
        if let Some(events) = self.tail().after(after, limit) {
            return Ok(events);
        }
        let events = self.read_log(after, limit).await?;
        let mut tail = self.tail();
        for event in &events {
            tail.push(event.position(), Arc::clone(event), event.json().len());
        }
        drop(tail);
        Ok(events)
    }

    async fn read_log(&self, after: Position, limit: usize) -> Result<Vec<Arc<FeedEvent>>, ReadError> {
        let envelopes = self.0.log.read_all(after, limit).await?;
        Ok(envelopes.into_iter().map(|envelope| Arc::new(FeedEvent::new(envelope))).collect())
    }

    fn tail(&self) -> MutexGuard<'_, Recent<Arc<FeedEvent>>> {
        self.0.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
