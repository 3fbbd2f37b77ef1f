//! A follower of logs: takes the next job that is claimed, follows its log to the end, and goes on to another job.
//!
//! The jobs of a load are short, so a follower takes at most one a second: it stands for a person who watches, and
//! should not be a load of its own.

use std::rc::Rc;
use std::time::Duration;

use rivet_events::id::JobId;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Shared, Tally, increase};
use crate::bench::error::Failure;
use crate::bench::http::Connection;
use crate::bench::options::BenchOptions;
use crate::bench::request::{Fill, Request};
use crate::sse_reader::SseReader;

const NAME: &str = "follow a log";
/// Shortest time from one job to the next.
const INTERVAL: Duration = Duration::from_secs(1);
/// Type of the event that ends a log.
const END: &[u8] = b"end";

/// Follows logs until the end of the run.
pub(super) struct Follower {
    shared: Shared,
    tally: Rc<Tally>,
    connection: Connection,
    request: Request,
    /// Entries of a whole log.
    entries: u64,
}

impl Follower {
    /// A follower that follows nothing yet.
    pub(super) fn new(shared: Shared, tally: Rc<Tally>, options: &BenchOptions) -> Self {
        let connection = Connection::new(&shared.target);
        let request = Request::new(&shared.target, "GET", "/api/jobs/{job}/logs/stream");
        Self { shared, tally, connection, request, entries: options.entries_of_a_job() }
    }

    /// Follows the logs of jobs that arrive in `claimed`.
    pub(super) async fn follow(mut self, mut claimed: watch::Receiver<Option<JobId>>) {
        loop {
            let began = Instant::now();
            // Jobs that were claimed meanwhile have ended by now.
            claimed.mark_unchanged();
            if claimed.changed().await.is_err() {
                return;
            }
            let Some(job) = *claimed.borrow_and_update() else { continue };
            increase(&self.tally.under_way, 1);
            let followed = self.follow_job(job).await;
            self.tally.under_way.set(self.tally.under_way.get() - 1);
            if let Err(failure) = followed {
                self.shared.recorder.failed(NAME, &failure);
            }
            tokio::time::sleep_until(began + INTERVAL).await;
        }
    }

    async fn follow_job(&mut self, job: JobId) -> Result<(), Failure> {
        let Self { shared, tally, connection, request, entries } = self;
        {
            let _turn = shared.turns.acquire().await;
            connection.open_stream(request, Fill { job: Some(job), ..Fill::default() }).await?;
        }
        increase(&tally.streams, 1);
        let (mut reader, mut received, mut has_ended) = (SseReader::new(), 0, false);
        while let Some(piece) = connection.next_piece().await? {
            reader.push(piece, |frame| {
                if frame.event == END {
                    has_ended = true;
                } else {
                    received += u64::from(frame.is_event());
                }
            });
        }
        increase(&tally.received, received);
        if has_ended {
            increase(&tally.missed, entries.saturating_sub(received));
            Ok(())
        } else {
            Err(Failure::Malformed("a log without its end"))
        }
    }
}
