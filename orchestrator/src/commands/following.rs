//! Keeps what executors have in memory from staying behind the log.
//!
//! What this process appends, it remembers. A command notices by itself that another replica has moved its stream; not so
//! who only reads: the capabilities of a runner, or the versions of a pipeline.

use std::time::Duration;

use rivet_events::{Envelope, Position, StreamType};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Commands;
use crate::telemetry::chain;

/// Events that are looked through at once.
const BATCH: usize = 1_000;
/// Pause after a log that cannot be read.
const PAUSE: Duration = Duration::from_secs(1);

impl Commands {
    /// Forgets what the log has moved past, from `seen` on until `stop`.
    pub async fn follow(&self, seen: Position, stop: CancellationToken) {
        stop.run_until_cancelled(self.follow_from(seen)).await;
    }

    async fn follow_from(&self, mut seen: Position) {
        let log = &self.journal.log;
        let mut heads = log.watch();
        while let Ok(head) = heads.wait_for(|head| *head > seen).await.map(|head| *head) {
            match log.read_all(seen, BATCH).await {
                Ok(events) => {
                    for envelope in &events {
                        self.forget_before(envelope);
                    }
                    // Where there are none, what was there is in the archive.
                    seen = events.last().map_or(head, |last| last.position);
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "what other processes did cannot be read");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn forget_before(&self, Envelope { stream, sequence, .. }: &Envelope) {
        match stream.kind {
            StreamType::Pipeline => self.pipelines.forget_before(&stream.id, *sequence),
            StreamType::Runner => self.runners.forget_before(&stream.id, *sequence),
            // Only read for a command, which notices.
            StreamType::Job
            | StreamType::JobLog
            | StreamType::Claim
            | StreamType::Group
            | StreamType::Projection
            | StreamType::Webhook
            | StreamType::Archive
            | StreamType::Unknown(_) => {}
        }
    }
}
