//! The feed: lets any number of readers follow the log.
//!
//! A [`Follower`] pulls: it reads on from its own position when its client is ready for more. So a slow client holds
//! up nobody and misses nothing, and no queue is kept for it. New events are read from the log and encoded once per
//! process, by the first follower that asks; a cache of the log's tail keeps them for the others. A follower that is
//! further behind reads the log itself; only a few may do so at a time.

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

/// Capacity of the tail, in events.
const TAIL_EVENTS: usize = 8_192;
/// Capacity of the tail, in bytes of JSON.
const TAIL_BYTES: usize = 16 << 20;
/// Followers that may read events from before the tail at the same time: the rest of the process needs database
/// connections too.
const HISTORY_READERS: usize = 4;

/// The log, shared by its followers. Clones share one tail.
#[derive(Clone)]
pub(crate) struct Feed(Arc<Inner>);

struct Inner {
    log: Arc<dyn EventLog>,
    /// A cache of the last events that were read, at contiguous positions, for the followers that have not had them
    /// yet.
    tail: Mutex<Recent<Arc<FeedEvent>>>,
    /// Held by the one follower that reads what comes after the tail, for all.
    next: tokio::sync::Mutex<()>,
    /// Permits to read what comes before the tail.
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

    /// Follows the events after `position` that pass the filter.
    pub(crate) fn follow(&self, filter: Filter, position: Position) -> Follower {
        Follower::new(self.clone(), self.0.log.watch(), filter, position)
    }

    /// The position of the last event.
    pub(crate) async fn head(&self) -> Result<Position, ReadError> {
        self.0.log.head().await
    }

    /// Up to `limit` events after `after`, in order; none at the end of the log. Only archived and purged events are
    /// missing.
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<FeedEvent>>, ReadError> {
        if let Some(events) = self.tail().after(after, limit) {
            return Ok(events);
        }
        if self.tail().has_passed(after) {
            let _permit = self.0.history.acquire().await.expect("invariant: the semaphore is never closed");
            return self.read_log(after, limit).await;
        }
        let _permit = self.0.next.lock().await;
        // Another follower may have read it while this one waited for the lock.
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
