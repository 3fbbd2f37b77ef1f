//! How many connections are served at a time, and whether clients have to wait for others to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The connections of a server, up to a limit.
#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    slots: Arc<Semaphore>,
    /// Whether a client had to wait since this was last asked.
    had_waiting: AtomicBool,
}

impl Connections {
    /// No connections yet, and at most `limit` at a time.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, slots: Arc::new(Semaphore::new(limit)), had_waiting: AtomicBool::new(false) }
    }

    /// How many there may be.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How many there are.
    pub(crate) fn open(&self) -> usize {
        self.limit - self.slots.available_permits()
    }

    /// Whether a new client has to wait, or one had to since this was last asked: then the server may not have heard
    /// what its clients have to say.
    pub(crate) fn kept_clients_waiting(&self) -> bool {
        self.had_waiting.swap(false, Ordering::Relaxed) || self.slots.available_permits() == 0
    }

    /// A slot for one more connection, if one is free.
    pub(super) fn free_slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// A slot for one more connection, as soon as one is free.
    pub(super) async fn slot(&self) -> OwnedSemaphorePermit {
        if let Some(slot) = self.free_slot() {
            return slot;
        }
        self.had_waiting.store(true, Ordering::Relaxed);
        Arc::clone(&self.slots).acquire_owned().await.expect("invariant: the semaphore is never closed")
    }
}
