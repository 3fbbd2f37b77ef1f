//! When the queue may have changed: events that may make a job claimable, and retries that come due.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::job::JobEvent;
use tokio::sync::watch;

/// Due times of retries that are kept at most. Beyond that the latest ones are dropped; the regular poll of the queue
/// finds those retries.
const MAX_DUE: usize = 10_000;
/// Shortest pause until a query for due retries, so that one query finds many that come due one after another.
const MIN_PAUSE: Duration = Duration::from_millis(25);

/// What the events of the log say about the queue.
#[derive(Debug, Default)]
pub(super) struct QueueChanges {
    /// The position of the last event that may have made a job claimable.
    last: watch::Sender<Position>,
    /// When retries come due; times, not jobs: equal ones are one.
    due: Mutex<BTreeSet<DateTime<Utc>>>,
}

impl QueueChanges {
    /// Notes what an event changes in the queue.
    pub(super) fn note(&self, position: Position, event: &JobEvent) {
        if let JobEvent::Requeued(requeued) = event {
            self.note_due(requeued.due_at);
        }
        if frees_a_job(event) {
            self.last.send_replace(position);
        }
    }

    /// The position of the last event that may have made a job claimable.
    pub(super) fn watch(&self) -> watch::Receiver<Position> {
        self.last.subscribe()
    }

    /// The time until the next retry comes due. Forgets those that are due at `now`: they are reported once.
    pub(super) fn next_due(&self, now: DateTime<Utc>) -> Option<Duration> {
        let mut all = self.due();
        while all.first().is_some_and(|due| *due <= now) {
            all.pop_first();
        }
        let due = *all.first()?;
        Some((due - now).to_std().unwrap_or_default().max(MIN_PAUSE))
    }

    fn note_due(&self, due: DateTime<Utc>) {
        let mut all = self.due();
        all.insert(due);
        if all.len() > MAX_DUE {
            all.pop_last();
        }
    }

    fn due(&self) -> MutexGuard<'_, BTreeSet<DateTime<Utc>>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn frees_a_job(event: &JobEvent) -> bool {
    match event {
        // The end of a job may free a place in its concurrency group.
        JobEvent::Launched(_)
        | JobEvent::Requeued(_)
        | JobEvent::Completed(_)
        | JobEvent::Cancelled(_)
        | JobEvent::TimedOut(_) => true,
        JobEvent::Claimed(_)
        | JobEvent::Started(_)
        | JobEvent::LeaseShown(_)
        | JobEvent::LeaseExpired(_)
        | JobEvent::CancelRequested(_)
        | JobEvent::ReportRefused(_)
        | JobEvent::Purged(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use rivet_events::id::{JobId, PipelineId};
    use rivet_events::job::{JobPurged, JobStatus};

    use super::*;
    use crate::domain::job::fixture::plain_launch;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn the_line_is_woken_when_the_next_retry_is_due() {
        let (changes, second) = (QueueChanges::default(), TimeDelta::seconds(1));
        assert_eq!(changes.next_due(NOW), None);
        for due in [NOW + second * 3, NOW + second, NOW + second] {
            changes.note_due(due);
        }
        assert_eq!(changes.next_due(NOW), Some(Duration::from_secs(1)));
        assert_eq!(changes.next_due(NOW + second - TimeDelta::microseconds(1)), Some(MIN_PAUSE));
        assert_eq!(changes.next_due(NOW + second), Some(Duration::from_secs(2)));
        assert_eq!(changes.next_due(NOW + second * 3), None);
    }

    #[test]
    fn the_line_is_told_of_events_that_may_free_a_job() {
        let changes = QueueChanges::default();
        let mut seen = changes.watch();
        let (job_id, pipeline_id) = (JobId::generate(), PipelineId::generate());
        changes.note(Position(7), &JobEvent::Launched(plain_launch(job_id, pipeline_id, NOW)));
        assert!(seen.has_changed().unwrap());
        assert_eq!(*seen.borrow_and_update(), Position(7));
        let purged = JobPurged { job_id, pipeline_id, status: JobStatus::Succeeded, purged_at: NOW };
        changes.note(Position(8), &JobEvent::Purged(purged));
        assert!(!seen.has_changed().unwrap());
    }
}
