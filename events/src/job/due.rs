//! When a job may be claimed.

use chrono::{DateTime, Utc};

use crate::envelope::is_mistaken;

/// Whether a job that was queued at `queued_at` may be claimed by time. Without a backoff it always may, even if the
/// clock of the server that queued it is ahead of this one's; and with one, if that clock was wrong.
#[must_use]
pub fn is_due(queued_at: DateTime<Utc>, due_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    due_at <= queued_at || due_at <= now || is_mistaken(queued_at, now)
}
