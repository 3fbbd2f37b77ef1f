//! Wakes the writer when a batch beside the one under way is worth its cost, and not for each append before that.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// What those who queue share with the writer.
#[derive(Debug)]
pub(super) struct Crowd {
    /// How many the writer waits for. A wake-up too many or too few by a race costs no more than a batch's time: the
    /// end of the batch under way wakes the writer too.
    enough: AtomicUsize,
    gathered: Notify,
}

impl Crowd {
    pub(super) fn new() -> Self {
        Self { enough: AtomicUsize::new(usize::MAX), gathered: Notify::new() }
    }

    /// The writer is to be woken when this many are queued; `usize::MAX` for never.
    pub(super) fn wait_for(&self, enough: usize) {
        self.enough.store(enough, Ordering::Relaxed);
    }

    /// Said by one who has queued, with how many are queued now.
    pub(super) fn joined(&self, queued: usize) {
        if queued >= self.enough.load(Ordering::Relaxed) {
            self.gathered.notify_one();
        }
    }

    /// Ends when enough are queued.
    pub(super) async fn gathered(&self) {
        self.gathered.notified().await;
    }
}
