//! Brings cached states up to what other replicas append to their streams.
//!
//! The appends of this process update the cache themselves, and a command notices a stale state by its conflict. But
//! the states of runners and pipelines are often only read, with no append that would conflict: the capabilities of the
//! one, the definition of the other. To ask the log each time would cost a query. So each process follows the log for
//! these, and for the jobs that were purged. What else of this process has to know of new events is told of each one
//! after the cache, so that whoever then reads a state finds what it was told of.

use std::sync::Arc;
use std::time::Duration;

use rivet_events::job::JobEvent;
use rivet_events::{Envelope, Event, Position, StreamType};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Commands;
use crate::telemetry::chain;

/// Events read from the log at once.
const BATCH: usize = 1_000;
/// Pause after the log could not be read.
const PAUSE: Duration = Duration::from_secs(1);

impl Commands {
    /// Follows the log from after `seen` until `stop`, keeps the cached states of pipelines and runners up to date, and
    /// then passes each event on to `tell`.
    pub(crate) async fn follow(&self, seen: Position, tell: impl Fn(&Envelope), stop: CancellationToken) {
        stop.run_until_cancelled(self.follow_from(seen, tell)).await;
    }

    async fn follow_from(&self, mut seen: Position, tell: impl Fn(&Envelope)) {
        let log = &self.journal.log;
        let mut heads = log.watch();
        while let Ok(head) = heads.wait_for(|head| *head > seen).await.map(|head| *head) {
            match log.read_all(seen, BATCH).await {
                Ok(events) => {
                    if !is_dense(seen, &events) {
                        self.evict_jobs();
                    }
                    for envelope in &events {
                        self.follow_event(envelope);
                        tell(envelope);
                    }
                    // An empty page: the events up to `head` have been archived or purged.
                    seen = events.last().map_or(head, |last| last.position);
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "what other processes did cannot be read");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// For events that have left the log before this process came to them: perhaps a `job.purged` was among them, whose
    /// job is then cached although it does not exist any more.
    fn evict_jobs(&self) {
        self.jobs.evict_all();
        self.job_logs.evict_all();
    }

    fn follow_event(&self, envelope: &Envelope) {
        match envelope.stream.kind {
            StreamType::Pipeline => self.pipelines.follow(envelope),
            StreamType::Runner => self.runners.follow(envelope),
            // What is about to be purged is not to be found in the cache afterwards.
            StreamType::Job if matches!(envelope.event, Event::Job(JobEvent::Purged(_))) => {
                self.jobs.evict(&envelope.stream.id);
                self.job_logs.evict(&envelope.stream.id);
            }
            // Read only for a command that notices a stale state by its conflict, or whose handler asks the log again
            // where it matters.
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

/// Whether these are the events right after `seen`, all of them, and there are any.
fn is_dense(seen: Position, events: &[Arc<Envelope>]) -> bool {
    events.last().is_some_and(|last| last.position.0 == seen.0 + events.len() as u64)
}
