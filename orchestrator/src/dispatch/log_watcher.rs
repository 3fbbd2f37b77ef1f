//! Follows the log for the dispatcher: which events may make a job claimable, and when retries come due.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::job::JobEvent;
use rivet_events::log::EventLog;
use rivet_events::{Event, Position};

/// Events read from the log at once.
const BATCH: usize = 1_000;
/// Due times of retries that are kept at most. Beyond that the latest ones are dropped; the regular poll of the queue
/// finds those retries.
const MAX_DUE: usize = 10_000;
/// Shortest pause until a query for due retries, so that one query finds many that come due one after another.
const MIN_PAUSE: Duration = Duration::from_millis(25);

/// How far the log has been read, and the due times of retries in it that are still to come.
pub(super) struct LogWatcher {
    log: Arc<dyn EventLog>,
    seen: Position,
    /// When retries come due; times, not jobs: equal ones are one.
    due: BTreeSet<DateTime<Utc>>,
}

impl LogWatcher {
    /// Follows the log from after a position.
    pub(super) fn after(seen: Position, log: Arc<dyn EventLog>) -> Self {
        Self { log, seen, due: BTreeSet::new() }
    }

    /// Reads the log up to `head`. Returns whether an event in it may have made a job claimable.
    pub(super) async fn read_until(&mut self, head: Position) -> bool {
        let mut may_free_a_job = false;
        while self.seen < head {
            let Ok(batch) = self.log.read_all(self.seen, BATCH).await else {
                // Read again at the next change: until then the queue, which has come from the same database, is polled.
                return true;
            };
            let Some(last) = batch.last() else {
                // The events have left the log: they may have freed a job.
                self.seen = head;
                return true;
            };
            self.seen = last.position;
            may_free_a_job |= batch.iter().any(|envelope| frees_a_job(&envelope.event));
            batch.iter().filter_map(|envelope| retry_at(&envelope.event)).for_each(|due| self.note(due));
        }
        may_free_a_job
    }

    /// The time until the next retry comes due. Forgets those that are due at `now`: they are reported once.
    pub(super) fn next_due(&mut self, now: DateTime<Utc>) -> Option<Duration> {
        while self.due.first().is_some_and(|due| *due <= now) {
            self.due.pop_first();
        }
        let due = *self.due.first()?;
        Some((due - now).to_std().unwrap_or_default().max(MIN_PAUSE))
    }

    fn note(&mut self, due: DateTime<Utc>) {
        self.due.insert(due);
        if self.due.len() > MAX_DUE {
            self.due.pop_last();
        }
    }
}

fn retry_at(event: &Event) -> Option<DateTime<Utc>> {
    let Event::Job(JobEvent::Requeued(requeued)) = event else { return None };
    Some(requeued.due_at)
}

fn frees_a_job(event: &Event) -> bool {
    let Event::Job(event) = event else { return false };
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
    use rivet_events::log::{LogSettings, in_memory};

    use super::*;

    #[tokio::test]
    async fn the_line_is_woken_when_the_next_retry_is_due() {
        let log = in_memory(LogSettings::default()).await.unwrap();
        let (now, second) = (DateTime::UNIX_EPOCH, TimeDelta::seconds(1));
        let mut watcher = LogWatcher::after(Position(0), log);
        assert_eq!(watcher.next_due(now), None);
        for due in [now + second * 3, now + second, now + second] {
            watcher.note(due);
        }
        assert_eq!(watcher.next_due(now), Some(Duration::from_secs(1)));
        assert_eq!(watcher.next_due(now + second - TimeDelta::microseconds(1)), Some(MIN_PAUSE));
        assert_eq!(watcher.next_due(now + second), Some(Duration::from_secs(2)));
        assert_eq!(watcher.next_due(now + second * 3), None);
    }
}
