//! Follows the log for changes of webhooks themselves: one was created, paused, resumed or deleted.

use std::sync::Arc;
use std::time::Duration;

use rivet_events::log::{EventLog, ReadError};
use rivet_events::{Position, StreamType};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

/// Events read from the log at once.
const BATCH: usize = 1_000;
/// Shortest time between two reads at the end of the log. Under load, one read then takes all that was appended
/// meanwhile.
const READ_INTERVAL: Duration = Duration::from_millis(50);

/// Reads the log rather than the feed, in which every event would be encoded although perhaps nobody wants it.
pub(super) struct Changes {
    log: Arc<dyn EventLog>,
    heads: watch::Receiver<Position>,
    seen: Position,
}

impl Changes {
    /// The changes after `seen`.
    pub(super) fn new(log: Arc<dyn EventLog>, seen: Position) -> Self {
        Self { heads: log.watch(), log, seen }
    }

    /// Waits for the next change, and returns its position. `None` if there was none until `deadline`.
    pub(super) async fn next(&mut self, deadline: Instant) -> Result<Option<Position>, ReadError> {
        loop {
            let events = self.log.read_all(self.seen, BATCH).await?;
            for event in &events {
                self.seen = event.position;
                if event.stream.kind == StreamType::Webhook {
                    return Ok(Some(self.seen));
                }
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            if events.len() < BATCH {
                let seen = self.seen;
                let grown = async {
                    sleep(READ_INTERVAL).await;
                    let _ = self.heads.wait_for(|head| *head > seen).await;
                };
                // A missed hint delays this until the deadline at most: the next read finds the events.
                let _ = timeout_at(deadline, grown).await;
            }
        }
    }
}
