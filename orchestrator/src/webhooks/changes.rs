//! Which events are of webhooks themselves: that one was registered, paused, resumed or removed.

use std::sync::Arc;
use std::time::Duration;

use rivet_events::log::{EventLog, ReadError};
use rivet_events::{Position, StreamType};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

/// Events that are looked through at once.
const BATCH: usize = 1_000;
/// Shortest time between two looks: under load, what came meanwhile is looked through at once.
const REST: Duration = Duration::from_millis(50);

/// Looks through the log itself: of the feed, every event would be encoded, though it may be for nobody.
pub(super) struct Changes {
    log: Arc<dyn EventLog>,
    heads: watch::Receiver<Position>,
    seen: Position,
}

impl Changes {
    /// Those after `seen`.
    pub(super) fn new(log: Arc<dyn EventLog>, seen: Position) -> Self {
        Self { heads: log.watch(), log, seen }
    }

    /// Where the next change stands, waiting for it; none where there was none until `deadline`.
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
                    sleep(REST).await;
                    let _ = self.heads.wait_for(|head| *head > seen).await;
                };
                // Late by the deadline at most; what was missed is found by the look after it.
                let _ = timeout_at(deadline, grown).await;
            }
        }
    }
}
