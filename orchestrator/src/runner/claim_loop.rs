//! Claims jobs, never more than may run at once, until the runner drains.
//!
//! A claim carries a request key that is used again until an answer arrives, so that a job won by an answer that
//! was lost on its way is not lost with it.

use std::sync::Arc;
use std::time::Duration;

use rivet_events::id::{CommandId, JobId};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::{Client, NextClaim};
use super::execution::JobExecution;
use super::job::JobRunner;
use super::retry::{Backoff, jitter};

/// How long the server may hold a claim.
const CLAIM_WAIT: Duration = Duration::from_secs(20);
/// Pause between two looks at the list of an older server, and after an empty answer that came early.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How long an older server is taken for one, before next-claim is tried again.
const RECHECK_INTERVAL: Duration = Duration::from_mins(1);
/// How long a draining runner asks for the answer of its last claim.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Claims for one runner.
pub(super) struct ClaimLoop {
    client: Client,
    jobs: JobRunner,
    running: TaskTracker,
    /// The key of the claim that has no answer yet.
    key: CommandId,
    /// The job that the claim without an answer was for, where it named one.
    unanswered: Option<JobId>,
    /// Until when the server is taken for one without next-claim.
    polls_until: Option<Instant>,
}

impl ClaimLoop {
    /// Claims with `client`, runs with `jobs`, keeps count in `running`.
    pub(super) fn new(client: Client, jobs: JobRunner, running: TaskTracker) -> Self {
        Self { client, jobs, running, key: CommandId::generate(), unanswered: None, polls_until: None }
    }

    /// Claims and starts jobs, at most `parallel` at once, until `drain`.
    pub(super) async fn run(mut self, parallel: usize, drain: &CancellationToken) {
        let slots = Arc::new(Semaphore::new(parallel));
        while let Some(slot) = drain.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await {
            let slot = slot.expect("invariant: the semaphore is never closed");
            let claimed = match drain.run_until_cancelled(self.claim()).await {
                Some(job) => job,
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

    /// Waits for a job, for as long as it takes; `None` only where the pause after an empty answer is over.
    async fn claim(&mut self) -> Option<JobExecution> {
        let mut backoff = Backoff::new();
        let mut told = false;
        loop {
            let asked = Instant::now();
            match self.claim_once(CLAIM_WAIT).await {
                Ok(Some(job)) => {
                    self.key = CommandId::generate();
                    return Some(job);
                }
                Ok(None) => {
                    self.key = CommandId::generate();
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
        if self.polls_until.is_none_or(|until| until < Instant::now()) {
            match self.client.claim_next(self.key, wait).await? {
                NextClaim::Job(job) => return Ok(Some(*job)),
                NextClaim::Nothing => return Ok(None),
                NextClaim::Unsupported => self.polls_until = Some(Instant::now() + RECHECK_INTERVAL),
            }
        }
        self.claim_scheduled().await
    }

    /// The way of servers without next-claim: claims what they list, in order, until one claim wins.
    async fn claim_scheduled(&mut self) -> anyhow::Result<Option<JobExecution>> {
        // A job won by an answer that was lost is not listed any more: it is asked for again first.
        if let Some(job_id) = self.unanswered
            && let Some(job) = self.claim_by_id(job_id).await?
        {
            return Ok(Some(job));
        }
        for job_id in self.client.scheduled().await? {
            if let Some(job) = self.claim_by_id(job_id).await? {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    async fn claim_by_id(&mut self, job_id: JobId) -> anyhow::Result<Option<JobExecution>> {
        self.unanswered = Some(job_id);
        let claimed = self.client.claim(job_id, self.key).await?;
        self.unanswered = None;
        Ok(claimed)
    }

    /// The answer of the claim that was in flight when the runner began to drain: the server may have given it a
    /// job, which is better run than left to its lease.
    async fn last_answer(&mut self) -> Option<JobExecution> {
        if self.polls_until.is_some() {
            return None;
        }
        let asked = timeout(LAST_ANSWER_TIMEOUT, self.client.claim_next(self.key, Duration::ZERO)).await;
        match asked.map_err(anyhow::Error::from).and_then(|answer| answer) {
            Ok(NextClaim::Job(job)) => Some(*job),
            Ok(NextClaim::Nothing | NextClaim::Unsupported) => None,
            Err(error) => {
                tracing::debug!("no answer to the last claim: {error:#}");
                None
            }
        }
    }
}
