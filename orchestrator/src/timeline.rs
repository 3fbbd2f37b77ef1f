//! Where the log stood at a time, and when it stood where.

use chrono::{DateTime, Utc};
use rivet_events::Position;
use rivet_events::log::{EventLog, ReadError};

/// The position that the log had come to at a time.
///
/// Times of events are those of the servers that recorded them, and need not be in order where their clocks differ.
/// Then there is more than one place where the log passes the time. The same one is found at each asking, however the
/// log has grown: whether a place is looked at depends on those before it alone.
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

/// When the event at a position was recorded, or the next one where it was archived.
pub(crate) async fn recorded_at(
    log: &dyn EventLog,
    position: u64,
) -> Result<Option<DateTime<Utc>>, ReadError> {
    let Some(before) = position.checked_sub(1) else { return Ok(None) };
    Ok(log.read_all(Position(before), 1).await?.first().map(|envelope| envelope.recorded_at))
}
