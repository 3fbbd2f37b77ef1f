//! Metrics of appends to the log.

use prometheus::{Histogram, IntCounter, IntGauge};
use rivet_events::log::{CommittedBatch, LogObserver};

use super::registry::Registry;

/// Buckets for the size of a batch, in appends.
const SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// Buckets for the time of a commit, in seconds.
const COMMITS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Metrics of this process's log writer.
#[derive(Debug)]
pub(crate) struct LogMetrics {
    events: IntCounter,
    conflicts: IntCounter,
    batch_size: Histogram,
    commit_time: Histogram,
    failures: IntCounter,
    waiting: IntGauge,
}

impl LogMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            events: registry
                .counter("rivet_log_appended_events_total", "Events that this process has appended."),
            conflicts: registry.counter(
                "rivet_log_append_conflicts_total",
                "Appends that came too late: their stream had moved on.",
            ),
            batch_size: registry.histogram(
                "rivet_log_batch_appends",
                "Appends that were committed together.",
                &SIZES,
            ),
            commit_time: registry.histogram(
                "rivet_log_commit_seconds",
                "Time that the database took for a batch of appends.",
                &COMMITS,
            ),
            failures: registry
                .counter("rivet_log_failed_appends_total", "Appends that the database did not take."),
            waiting: registry.gauge(
                "rivet_log_waiting_appends",
                "Appends that waited behind the last batch; the bound is --append-queue.",
            ),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a batch is small")]
impl LogObserver for LogMetrics {
    fn committed(&self, batch: &CommittedBatch) {
        self.events.inc_by(batch.events as u64);
        self.conflicts.inc_by(batch.conflicts as u64);
        self.batch_size.observe(batch.appends as f64);
        self.commit_time.observe(batch.took.as_secs_f64());
        self.waiting.set(i64::try_from(batch.waiting).unwrap_or(i64::MAX));
    }

    fn failed(&self, appends: usize) {
        self.failures.inc_by(appends as u64);
    }
}
