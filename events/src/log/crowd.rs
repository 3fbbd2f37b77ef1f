//! Wakes the writer while a batch is under way: only once enough appends are queued for another batch to be worth its
//! cost, and not for each append.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A wake-up with a threshold. The callers that queue appends report the length of the queue, and the writer waits
/// until it is long enough.
#[derive(Debug)]
pub(super) struct Crowd {
    /// The length of the queue at which the writer is woken. A race can cause a wake-up too many or too few. That
    /// costs at most the time of a batch, since the end of the batch under way wakes the writer too.
    enough: AtomicUsize,
    gathered: Notify,
}

impl Crowd {
    pub(super) fn new() -> Self {
        Self { enough: AtomicUsize::new(usize::MAX), gathered: Notify::new() }
    }

    /// Sets how many queued appends wake the writer; `usize::MAX` for never.
    pub(super) fn wait_for(&self, enough: usize) {
        self.enough.store(enough, Ordering::Relaxed);
    }

    /// Called after an append was queued, with the number of appends that are queued now.
    pub(super) fn joined(&self, queued: usize) {
        if queued >= self.enough.load(Ordering::Relaxed) {
            self.gathered.notify_one();
        }
    }

    /// Waits until enough appends are queued.
    pub(super) async fn gathered(&self) {
        self.gathered.notified().await;
    }
}
