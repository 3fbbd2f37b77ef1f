//! Claims jobs until the runner drains, never more than may run at once.
//!
//! Each claim carries an idempotency key (`Rivet-Request-Key`), which is reused until an answer arrives. When the
//! answer that granted a job is lost, the repeated claim gets the same job.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use rivet_events::id::{CommandId, JobId};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::{Client, NextClaim};
use super::execution::JobExecution;
use super::job::JobRunner;
use crate::retry::{Backoff, jitter};

/// How long the server may hold a next-claim open (long poll).
const CLAIM_WAIT: Duration = Duration::from_secs(20);
/// Mean pause after an answer without a job that came sooner than this. A server without next-claim answers at once,
/// and so is polled at this interval.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How long a server that does not know next-claim is polled before next-claim is tried again.
const RECHECK_INTERVAL: Duration = Duration::from_mins(1);
/// How long a draining runner waits for the answer to its last claim.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A claim that was sent, or is about to be.
#[derive(Debug, Clone, Copy)]
struct Claim {
    /// Its idempotency key.
    key: CommandId,
    /// The job that it names; `None` for a next-claim.
    job_id: Option<JobId>,
    /// When it was sent first.
    first_sent: Instant,
}

/// Claims jobs for one runner.
pub(super) struct ClaimLoop {
    client: Client,
    jobs: JobRunner,
    running: TaskTracker,
    /// The claim that is not answered yet.
    unanswered: Option<Claim>,
    /// Whether the server has answered a next-claim since it last had none.
    has_next_claim: bool,
    /// Until when the server counts as one without next-claim, and is polled.
    polls_until: Option<Instant>,
}

impl ClaimLoop {
    /// A loop that claims through `client`, runs what it gets with `jobs`, and tracks these tasks in `running`.
    pub(super) fn new(client: Client, jobs: JobRunner, running: TaskTracker) -> Self {
        Self { client, jobs, running, unanswered: None, has_next_claim: false, polls_until: None }
    }

    /// Claims jobs and starts them, at most `parallel` at once, until `drain` is cancelled.
    pub(super) async fn run(mut self, parallel: usize, drain: &CancellationToken) {
        let slots = Arc::new(Semaphore::new(parallel));
        while let Some(slot) = drain.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await {
            let slot = slot.expect("invariant: the semaphore is never closed");
            let claimed = match drain.run_until_cancelled(self.claim()).await {
                Some(job) => Some(job),
                None => self.last_answer().await,
            };
            if let Some(job) = claimed {
                let jobs = self.jobs.clone();
                self.running.spawn(async move {
                    jobs.run(job).await;
                    drop(slot);
                });
            }
        }
    }

    /// Claims until a job is won, however long that takes.
    async fn claim(&mut self) -> JobExecution {
        let mut backoff = Backoff::new();
        let mut told = false;
        loop {
            let asked = Instant::now();
            match self.claim_once(CLAIM_WAIT).await {
                Ok(Some(job)) => return job,
                Ok(None) => {
                    backoff = Backoff::new();
                    told = false;
                    if asked.elapsed() < POLL_INTERVAL {
                        sleep(POLL_INTERVAL / 2 + jitter(POLL_INTERVAL)).await;
                    }
                }
                Err(error) => {
                    if !told {
                        tracing::warn!("no answer to a claim, asking on: {error:#}");
                        told = true;
                    }
                    sleep(backoff.pause(None)).await;
                }
            }
        }
    }

    async fn claim_once(&mut self, wait: Duration) -> anyhow::Result<Option<JobExecution>> {
        // A job that was won, but whose answer was lost, is not listed any more. So its claim is repeated first.
        if let Some(job_id) = self.unanswered.and_then(|claim| claim.job_id)
            && let Some(job) = self.claim_by_id(job_id).await?
        {
            return Ok(Some(job));
        }
        if !self.polls() {
            match self.claim_next(wait).await? {
                NextClaim::Job(job) => return Ok(Some(*job)),
                NextClaim::Nothing => return Ok(None),
                NextClaim::Unsupported => self.polls_until = Some(Instant::now() + RECHECK_INTERVAL),
            }
        }
        self.claim_scheduled().await
    }

    /// Whether the server counts as one without next-claim.
    fn polls(&self) -> bool {
        self.polls_until.is_some_and(|until| Instant::now() < until)
    }

    /// Claims from a server without next-claim: tries the jobs that it lists, in order, until one claim wins.
    async fn claim_scheduled(&mut self) -> anyhow::Result<Option<JobExecution>> {
        for job_id in self.client.scheduled().await? {
            if let Some(job) = self.claim_by_id(job_id).await? {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    async fn claim_next(&mut self, wait: Duration) -> anyhow::Result<NextClaim> {
        let is_repeated = self.unanswered.is_some();
        let claim = self.begin_claim(None);
        let answer = self.client.claim_next(claim.key, wait).await?;
        let is_unsupported = matches!(answer, NextClaim::Unsupported);
        // A proxy in front of a restarting server answers 404, too. The job that an answer lost before may have granted
        // would wait in vain, so the claim is repeated a while longer.
        let may_be_proxy = self.has_next_claim && claim.first_sent.elapsed() < RECHECK_INTERVAL;
        if is_unsupported && is_repeated && may_be_proxy {
            bail!("there is no next-claim for now");
        }
        self.has_next_claim = !is_unsupported;
        self.unanswered = None;
        Ok(answer)
    }

    async fn claim_by_id(&mut self, job_id: JobId) -> anyhow::Result<Option<JobExecution>> {
        let claim = self.begin_claim(Some(job_id));
        let claimed = self.client.claim(job_id, claim.key).await?;
        self.unanswered = None;
        Ok(claimed)
    }

    /// Notes a claim that is about to be sent: a new one, or the unanswered one, which it repeats.
    fn begin_claim(&mut self, job_id: Option<JobId>) -> Claim {
        let new = || Claim { key: CommandId::generate(), job_id, first_sent: Instant::now() };
        *self.unanswered.get_or_insert_with(new)
    }

    /// Repeats the claim that was in flight when the runner began to drain, if there was one: the server may have
    /// granted it a job, and it is better to run that than to leave it until its lease expires.
    async fn last_answer(&self) -> Option<JobExecution> {
        let repeated = timeout(LAST_ANSWER_TIMEOUT, self.repeat(self.unanswered?)).await;
        repeated.map_err(anyhow::Error::from).flatten().unwrap_or_else(|error| {
            tracing::debug!("no answer to the last claim: {error:#}");
            None
        })
    }

    async fn repeat(&self, claim: Claim) -> anyhow::Result<Option<JobExecution>> {
        if let Some(job_id) = claim.job_id {
            return self.client.claim(job_id, claim.key).await;
        }
        match self.client.claim_next(claim.key, Duration::ZERO).await? {
            NextClaim::Job(job) => Ok(Some(*job)),
            NextClaim::Nothing | NextClaim::Unsupported => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
