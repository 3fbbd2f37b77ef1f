//! Translates between times and positions of the log.

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::log::{EventLog, ReadError};

/// The position that the log had reached at `time`, by binary search over the times at which events were recorded.
///
/// These times come from the clocks of different servers, so they need not increase with the position, and the log
/// may pass `time` at more than one position. The search then finds the same one each time, however much the log has
/// grown since: whether it probes a position depends only on the events before that position.
pub(crate) async fn last_before(log: &dyn EventLog, time: DateTime<Utc>) -> Result<Position, ReadError> {
    let head = log.head().await?.0;
    let mut position = 0;
    for level in (0..=head.checked_ilog2().unwrap_or_default()).rev() {
        let probe = position + (1 << level);
        if probe <= head && recorded_at(log, probe).await?.is_some_and(|recorded_at| recorded_at <= time) {
            position = probe;
        }
    }
    Ok(Position(position))
}

/// When the event at `position` was recorded; if that event has left the log (archived or purged), the next one.
pub(crate) async fn recorded_at(
    log: &dyn EventLog,
    position: u64,
) -> Result<Option<DateTime<Utc>>, ReadError> {
    let Some(before) = position.checked_sub(1) else { return Ok(None) };
    Ok(log.read_all(Position(before), 1).await?.first().map(|envelope| envelope.recorded_at))
}
