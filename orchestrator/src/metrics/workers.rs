//! Metrics of what the leader does in the background for others: deliveries to webhooks, and the archive.

use prometheus::{IntCounter, IntCounterVec};

use super::registry::Registry;

/// Deliveries and archiver runs of this process.
#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    attempts: IntCounterVec,
    archiver_failures: IntCounter,
}

impl WorkerMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let metrics = Self {
            attempts: registry.counters(
                "rivet_webhook_attempts_total",
                "Attempts of this process to deliver to a webhook, by their outcome.",
                &["outcome"],
            ),
            archiver_failures: registry.counter(
                "rivet_archiver_failures_total",
                "Runs of this process's archiver that failed; each is tried again after a minute.",
            ),
        };
        for delivered in [false, true] {
            metrics.attempts(delivered);
        }
        metrics
    }

    fn attempts(&self, delivered: bool) -> IntCounter {
        self.attempts.with_label_values(&[if delivered { "delivered" } else { "failed" }])
    }

    /// Counts an attempt to deliver to a webhook.
    pub(crate) fn attempted(&self, delivered: bool) {
        self.attempts(delivered).inc();
    }

    /// Counts a run of the archiver that failed.
    pub(crate) fn archiver_failed(&self) {
        self.archiver_failures.inc();
    }
}
