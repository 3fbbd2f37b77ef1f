//! The progress of a webhook's deliveries: what is saved of them beside the position. Its size is bounded.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use rivet_events::id::EventId;
use rivet_events::{Position, elapsed};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Attempts that are kept at most.
const MAX_ATTEMPTS: usize = 20;
/// Characters of an error that are kept at most.
const MAX_ERROR: usize = 300;
/// Backoff before the second attempt; doubled before each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest backoff, before jitter: 0.5 to 1.5 times of it are waited.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// Longest backoff, with jitter.
const MAX_WAIT: Duration = Duration::from_mins(15);

/// The progress of a webhook's deliveries.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Progress {
    /// Number of events that were delivered.
    pub(crate) delivered: u64,
    /// Number of failed attempts to deliver the next event.
    pub(crate) failures: u32,
    /// When the first of them failed.
    pub(crate) failing_since: Option<DateTime<Utc>>,
    /// When the next attempt is made.
    pub(crate) next_attempt_at: Option<DateTime<Utc>>,
    /// The latest attempts, newest first.
    #[schema(value_type = Vec<Attempt>)]
    pub(crate) attempts: VecDeque<Attempt>,
}

/// One attempt to deliver an event, or a batch of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Attempt {
    /// The position of the event; of a batch, that of its first event.
    pub(crate) position: Position,
    /// Number of events in it.
    pub(crate) events: u32,
    /// The id of the event; of a batch, that of its first event.
    pub(crate) event_id: EventId,
    /// The type of that event.
    pub(crate) r#type: String,
    /// When it was made.
    pub(crate) attempted_at: DateTime<Utc>,
    /// How long it took.
    pub(crate) duration_ms: u64,
    /// The status that the receiver answered with, if it answered.
    pub(crate) status: Option<u16>,
    /// Why it failed, if it did.
    pub(crate) error: Option<String>,
}

impl Progress {
    /// Reads what [`Self::text`] has saved. Starts over where this build cannot read it, which loses no event: the
    /// position is saved apart.
    pub(crate) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The text to save, as JSON.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("invariant: progress is plain data")
    }

    /// Notes an attempt that has delivered its events.
    pub(super) fn succeeded(&mut self, attempt: Attempt) {
        self.delivered += u64::from(attempt.events);
        self.forget_failures();
        self.keep(attempt);
    }

    /// Notes an attempt that has failed, and schedules the next one. `jitter` is from 0 to 1.
    pub(super) fn failed(&mut self, attempt: Attempt, jitter: f64) {
        let doublings = self.failures.min(16);
        let wait = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT).mul_f64(0.5 + jitter);
        self.failures += 1;
        self.failing_since.get_or_insert(attempt.attempted_at);
        let next = attempt.attempted_at + Duration::from_millis(attempt.duration_ms) + wait;
        self.next_attempt_at = Some(next.trunc_subsecs(6));
        self.keep(attempt);
    }

    /// How long to wait for the next attempt; `None` if it is due. If the clock has gone back since it was scheduled, that
    /// is a whole backoff at most.
    pub(super) fn wait(&self, now: DateTime<Utc>) -> Option<Duration> {
        let wait = (self.next_attempt_at? - now).to_std().ok()?;
        Some(wait.min(MAX_WAIT))
    }

    /// Whether attempts have failed for this long by `now`. Each counts for a whole backoff at most, so that a clock that
    /// has gone forward gives no webhook up.
    pub(super) fn has_failed_for(&self, time: Duration, now: DateTime<Utc>) -> bool {
        let longest = MAX_WAIT.saturating_mul(self.failures);
        self.failing_since.is_some_and(|since| elapsed(since, now).min(longest) >= time)
    }

    /// Resets the backoff: the next attempt is made at once.
    pub(super) fn forget_failures(&mut self) {
        self.failures = 0;
        self.failing_since = None;
        self.next_attempt_at = None;
    }

    fn keep(&mut self, mut attempt: Attempt) {
        attempt.error = attempt.error.map(|error| error.chars().take(MAX_ERROR).collect());
        self.attempts.push_front(attempt);
        self.attempts.truncate(MAX_ATTEMPTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(second: i64) -> Attempt {
        Attempt {
            position: Position(3),
            events: 4,
            event_id: EventId::generate(),
            r#type: "job.completed".to_owned(),
            attempted_at: DateTime::from_timestamp(second, 0).unwrap(),
            duration_ms: 0,
            status: None,
            error: Some("ü".repeat(5_000)),
        }
    }

    /// Seconds until the next attempt.
    fn wait(progress: &Progress, since: i64) -> f64 {
        let wait = progress.next_attempt_at.unwrap() - DateTime::from_timestamp(since, 0).unwrap();
        wait.to_std().unwrap().as_secs_f64()
    }

    #[test]
    fn waits_double_up_to_ten_minutes_and_are_spread() {
        let mut progress = Progress::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            progress.failed(attempt(0), 0.5);
            waits.push(wait(&progress, 0));
        }
        assert_eq!(waits[..5], [1.0, 2.0, 4.0, 8.0, 16.0]);
        progress.failed(attempt(0), 0.123_456_789_1);
        assert_eq!(
            progress.next_attempt_at.unwrap().timestamp_subsec_nanos() % 1_000,
            0,
            "as all other times"
        );
        assert!(waits[10..].iter().all(|wait| (wait - 600.0).abs() < 1e-6), "{waits:?}");
        let mut spread = Progress::default();
        spread.failed(attempt(0), 0.0);
        assert!((wait(&spread, 0) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_clock_that_is_set_neither_prolongs_the_wait_nor_gives_up() {
        let (at, day) = (|second| DateTime::from_timestamp(second, 0).unwrap(), 86_400);
        let mut progress = Progress::default();
        progress.failed(attempt(2 * day), 0.5);
        assert_eq!(progress.wait(at(2 * day)), Some(Duration::from_secs(1)));
        assert_eq!(progress.wait(at(2 * day + 2)), None);
        assert_eq!(progress.wait(at(day)), Some(MAX_WAIT));
        let retry_for = Duration::from_hours(24);
        progress.failed(attempt(3 * day), 0.5);
        assert!(!progress.has_failed_for(retry_for, at(3 * day)));
        for _ in 2..96 {
            progress.failed(attempt(3 * day), 0.5);
        }
        assert!(progress.has_failed_for(retry_for, at(3 * day)));
        assert!(!progress.has_failed_for(retry_for, at(3 * day - 1)));
    }

    #[test]
    fn a_success_ends_a_row_of_failures() {
        let mut progress = Progress::default();
        progress.failed(attempt(1), 0.5);
        progress.failed(attempt(5), 0.5);
        assert_eq!((progress.failures, progress.failing_since), (2, DateTime::from_timestamp(1, 0)));
        progress.succeeded(attempt(9));
        assert_eq!((progress.failures, progress.failing_since, progress.next_attempt_at), (0, None, None));
        assert_eq!((progress.delivered, progress.attempts.len()), (4, 3));
    }

    #[test]
    fn what_is_kept_does_not_grow() {
        let mut progress = Progress::default();
        for second in 0..1_000 {
            progress.failed(attempt(second), 0.5);
        }
        assert_eq!(progress.attempts.len(), MAX_ATTEMPTS);
        assert_eq!(progress.attempts[0].attempted_at, DateTime::from_timestamp(999, 0).unwrap());
        assert!(progress.text().len() < 20_000, "{}", progress.text().len());
        assert_eq!(Progress::read(&progress.text()), progress);
        assert_eq!(Progress::read("from another build"), Progress::default());
    }
}
