//! Sends the log of one attempt to the server while the job runs, and heartbeats while the job is silent.
//!
//! What is not acknowledged yet is bounded: while the server is away the queue fills up, and then the job's own
//! output waits (back-pressure) instead of the runner's memory growing.

use std::time::Duration;

use reqwest::StatusCode;
use rivet_events::job_log::LogEntry;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::client::{Client, WriteError};
use super::execution::JobExecution;
use super::log_buffer::LogBuffer;
use crate::retry::Verdict;

/// Longest time that an entry waits for its batch to fill.
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);
/// Longest time without a request for a silent job: a cancellation arrives only with an answer.
const CONTACT_INTERVAL: Duration = Duration::from_secs(3);

/// Entries that may wait between the job and its shipper.
pub(super) const QUEUE_ENTRIES: usize = 4_096;

/// Sends `entries` until the job has no more and the server has them all; says why if it refused some of them. Cancels
/// `lost`, and ends, when the lease of the job is lost.
pub(super) async fn ship(
    client: &Client,
    job: &JobExecution,
    mut entries: mpsc::Receiver<LogEntry>,
    lost: &CancellationToken,
) -> Option<String> {
    let mut shipper = Shipper {
        client,
        job,
        buffer: LogBuffer::default(),
        last_contact: Instant::now(),
        refusal: None,
        heartbeat_refused: false,
    };
    let mut ticks = interval(FLUSH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let flush = tokio::select! {
            biased;
            entry = entries.recv() => match entry {
                Some(entry) => shipper.take(entry),
                None => break,
            },
            _ = ticks.tick() => true,
        };
        if flush && shipper.send_or_heartbeat().await == Verdict::LeaseLost {
            lost.cancel();
            return None;
        }
    }
    while shipper.has_more() {
        if shipper.send_batch().await == Verdict::LeaseLost {
            lost.cancel();
            return None;
        }
    }
    shipper.refusal
}

struct Shipper<'a> {
    client: &'a Client,
    job: &'a JobExecution,
    buffer: LogBuffer,
    last_contact: Instant,
    /// Why the server accepts no more of this log. The rest of it is dropped, and the job goes on.
    refusal: Option<String>,
    /// Whether the last heartbeat was answered, but not accepted.
    heartbeat_refused: bool,
}

impl Shipper<'_> {
    /// Buffers an entry, and says whether it is time to send.
    fn take(&mut self, entry: LogEntry) -> bool {
        if self.refusal.is_none() {
            self.buffer.push(entry);
        }
        self.buffer.is_full() || self.last_contact.elapsed() >= FLUSH_INTERVAL * 2
    }

    /// Whether the server should get, and does not have, something.
    fn has_more(&self) -> bool {
        self.refusal.is_none() && !self.buffer.is_acknowledged()
    }

    /// Sends what waits; when nothing does, a heartbeat if one is due.
    async fn send_or_heartbeat(&mut self) -> Verdict {
        if self.has_more() {
            return self.send_batch().await;
        }
        if self.last_contact.elapsed() < CONTACT_INTERVAL {
            return Verdict::Accepted;
        }
        self.last_contact = Instant::now();
        match self.client.heartbeat(self.job.lease_id).await {
            Ok(reply) => {
                let verdict = reply.verdict();
                let refused = matches!(verdict, Verdict::TryAgain | Verdict::Elsewhere | Verdict::Refused);
                if refused && !self.heartbeat_refused {
                    tracing::warn!(
                        job_id = %self.job.job_id,
                        "the server refuses a heartbeat of the job: {}; it will be lost if it stays silent",
                        reply.explanation()
                    );
                }
                self.heartbeat_refused = refused;
                verdict
            }
            Err(error) => {
                tracing::debug!(job_id = %self.job.job_id, %error, "no contact");
                Verdict::TryAgain
            }
        }
    }

    async fn send_batch(&mut self) -> Verdict {
        let (offset, batch) = self.buffer.batch();
        let end = offset + batch.len() as u64;
        let verdict = match self.client.log(self.job, offset, &batch).await {
            Ok(reply) => {
                self.buffer.acknowledge(reply.log_ack.unwrap_or(end));
                Verdict::Accepted
            }
            Err(WriteError::LeaseLost) => Verdict::LeaseLost,
            Err(WriteError::Refused(reply)) if is_rewind(reply.status, reply.log_ack, offset) => {
                self.buffer.acknowledge(reply.log_ack.unwrap_or_default());
                Verdict::TryAgain
            }
            Err(error @ WriteError::Refused(_)) => {
                tracing::warn!(job_id = %self.job.job_id, "the rest of the log is dropped: {error}");
                self.refusal = Some(error.to_string());
                Verdict::Refused
            }
        };
        self.last_contact = Instant::now();
        verdict
    }
}

/// Whether a 416 asks for entries before `offset`. Any other 416 counts as a refusal: sending from the same offset
/// again would go on for ever.
fn is_rewind(status: StatusCode, log_ack: Option<u64>, offset: u64) -> bool {
    status == StatusCode::RANGE_NOT_SATISFIABLE && log_ack.is_some_and(|ack| ack < offset)
}
