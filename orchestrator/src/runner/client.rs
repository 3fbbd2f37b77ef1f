//! The HTTP calls of a runner, each with the retries that its kind needs.
//!
//! Any answer, whatever the request was about, may name jobs to cancel (`Rivet-Cancel`); `Client::send` handles that
//! for all of them.

use std::time::Duration;

use anyhow::Context;
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, StatusCode};
use rivet_events::id::{CommandId, JobId, LeaseId};
use rivet_events::job::ExpiryCause;
use rivet_events::job_log::LogEntry;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::execution::{Completion, JobExecution};
use super::held_jobs::HeldJobs;
use crate::retry::{Backoff, Verdict};
use crate::server_url::ServerUrl;
use crate::telemetry::chain;

/// Timeout of one try of a request; a next-claim has its wait on top.
const TRY_TIMEOUT: Duration = Duration::from_secs(30);

/// Timeout of the request with which a runner leaves: whoever stops it waits for that.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The HTTP client of one runner. Its connections belong to the async runtime that it is first used on.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    server: ServerUrl,
    runner_id: String,
    held_jobs: HeldJobs,
}

/// An answer whose body has been read.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// `Rivet-Log-Ack`: how many log entries of the attempt the server has.
    pub(super) log_ack: Option<u64>,
    retry_after: Option<Duration>,
    /// `Location`: where the answer comes from that was asked for.
    location: Option<String>,
    body: Vec<u8>,
}

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The job belongs to another attempt by now.
    #[error("the lease of this attempt is lost")]
    LeaseLost,
    /// The server refused it for good.
    #[error("the server refused: {}", .0.explanation())]
    Refused(Reply),
}

/// The answer to a next-claim.
#[derive(Debug)]
pub(super) enum NextClaim {
    /// This job is the runner's now.
    Job(Box<JobExecution>),
    /// No job came up within the wait.
    Nothing,
    /// The server is too old to know next-claim, or a proxy has answered in its place.
    Unsupported,
}

impl Reply {
    /// The `code` of an error's body.
    fn code(&self) -> Option<String> {
        self.field("code")
    }

    /// The status and the body's `error` (or the first 200 characters of a body without one), for people.
    pub(super) fn explanation(&self) -> String {
        if let Some(location) = self.location.as_ref().filter(|_| self.status.is_redirection()) {
            return format!("{} a redirect to {location}", self.status.as_u16());
        }
        let error = self
            .field("error")
            .unwrap_or_else(|| String::from_utf8_lossy(&self.body).trim().chars().take(200).collect());
        format!("{} {error}", self.status.as_u16()).trim_end().to_owned()
    }

    fn field(&self, name: &str) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body.get(name)?.as_str().map(ToOwned::to_owned)
    }

    /// What it means for the request.
    pub(super) fn verdict(&self) -> Verdict {
        Verdict::of(self.status.as_u16(), self.code().as_deref())
    }
}

impl Client {
    /// A client of `server` that acts as `runner_id`.
    pub(super) fn new(server: ServerUrl, runner_id: String, held_jobs: HeldJobs) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            // Behind a redirect to a login, a report would count as accepted.
            .redirect(Policy::none())
            .user_agent(concat!("rivet-runner/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("the HTTP client cannot be built")?;
        Ok(Self { http, server, runner_id, held_jobs })
    }

    /// Registers the runner with its capabilities. An answer that leads elsewhere is final here: the address of the server
    /// may be wrong from the start.
    pub(super) async fn register(&self, capabilities: &[String], boot_id: &str) -> Result<(), WriteError> {
        let body = json!({ "runner_id": self.runner_id, "capabilities": capabilities, "boot_id": boot_id });
        let request = || self.post(&["runners", "register"]).json(&body);
        self.write_while(&[Verdict::TryAgain], "register", request).await.map(drop)
    }

    /// Sends one heartbeat, without retries. With a lease it also renews that lease, and the answer says whether the
    /// lease is lost.
    pub(super) async fn heartbeat(&self, lease_id: Option<LeaseId>) -> Result<Reply, reqwest::Error> {
        let request = self.post(&["runners", &self.runner_id, "heartbeat"]);
        self.send(with_lease(request, lease_id).timeout(TRY_TIMEOUT)).await
    }

    /// Removes the runner from the server's list, without retries: if that fails, it is listed as offline later. Another
    /// process of its name is listed again at its next contact.
    pub(super) async fn leave(&self) -> Result<(), String> {
        let request = self.request(Method::DELETE, &["runners", &self.runner_id]).timeout(LEAVE_TIMEOUT);
        match self.send(request).await {
            Ok(reply) if reply.status.is_success() || reply.status == StatusCode::NOT_FOUND => Ok(()),
            Ok(reply) => Err(reply.explanation()),
            Err(error) => Err(chain(&error).to_string()),
        }
    }

    /// Asks for the next job; the server holds the request open for up to `wait`. Repeating `key` gets the answer
    /// that was lost on its way.
    pub(super) async fn claim_next(&self, key: CommandId, wait: Duration) -> anyhow::Result<NextClaim> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let request = self
            .post(&["jobs", "claim"])
            .header("Rivet-Request-Key", key.to_string())
            .json(&json!({ "runner_id": self.runner_id, "wait_ms": wait_ms, "fencing": true }))
            .timeout(wait + TRY_TIMEOUT);
        let reply = self.send(request).await?;
        // The repeat came so late that the granted job belongs to another runner by now, or is gone: this claim is
        // over.
        if matches!(reply.code().as_deref(), Some("lease_lost" | "job_not_found")) {
            return Ok(NextClaim::Nothing);
        }
        match reply.status {
            StatusCode::NO_CONTENT => Ok(NextClaim::Nothing),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(NextClaim::Unsupported),
            status if status.is_success() => Ok(NextClaim::Job(Box::new(execution(&reply)?))),
            _ => anyhow::bail!("claiming: {}", reply.explanation()),
        }
    }

    /// The jobs that an older server offers to this runner, in claim order.
    pub(super) async fn scheduled(&self) -> anyhow::Result<Vec<JobId>> {
        #[derive(Deserialize)]
        struct Job {
            id: JobId,
        }
        let request = self
            .request(Method::GET, &["jobs", "scheduled"])
            .query(&[("runner_id", &self.runner_id)])
            .timeout(TRY_TIMEOUT);
        let reply = self.send(request).await?;
        anyhow::ensure!(reply.status.is_success(), "listing scheduled jobs: {}", reply.explanation());
        let jobs: Vec<Job> = serde_json::from_slice(&reply.body).context("the list of scheduled jobs")?;
        Ok(jobs.into_iter().map(|job| job.id).collect())
    }

    /// Claims one job by its id; `None` when another runner was faster, or the server refuses for another reason.
    pub(super) async fn claim(&self, job_id: JobId, key: CommandId) -> anyhow::Result<Option<JobExecution>> {
        let request = self
            .post(&["jobs", &job_id.to_string(), "claim"])
            .header("Rivet-Request-Key", key.to_string())
            .json(&json!({ "runner_id": self.runner_id, "fencing": true }))
            .timeout(TRY_TIMEOUT);
        let reply = self.send(request).await?;
        match reply.verdict() {
            Verdict::Accepted => execution(&reply).map(Some),
            Verdict::LeaseLost | Verdict::Refused => Ok(None),
            // A 404 with an `error` is the server's own: there is no such job. One without comes from a proxy.
            Verdict::TryAgain if reply.status == StatusCode::NOT_FOUND && reply.field("error").is_some() => {
                Ok(None)
            }
            Verdict::TryAgain | Verdict::Elsewhere => anyhow::bail!("claiming: {}", reply.explanation()),
        }
    }

    /// Reports that the job runs.
    pub(super) async fn start(&self, job: &JobExecution) -> Result<(), WriteError> {
        let body = json!({ "status": "Running" });
        let request = || {
            let request = self.request(Method::PUT, &["jobs", &job.job_id.to_string(), "status"]).json(&body);
            with_lease(request, job.lease_id)
        };
        self.write("status", request).await.map(drop)
    }

    /// Sends log entries, the first of which has the index `offset` in the attempt.
    pub(super) async fn log(
        &self,
        job: &JobExecution,
        offset: u64,
        entries: &[&LogEntry],
    ) -> Result<Reply, WriteError> {
        let body = json!({ "entries": entries });
        let request = || {
            let request = self.post(&["jobs", &job.job_id.to_string(), "logs"]).json(&body);
            with_lease(request, job.lease_id).header("Rivet-Log-Offset", offset)
        };
        self.write("logs", request).await
    }

    /// Reports how the job ended.
    pub(super) async fn complete(
        &self,
        job: &JobExecution,
        completion: &Completion,
    ) -> Result<(), WriteError> {
        let request = || {
            let request = self.post(&["jobs", &job.job_id.to_string(), "complete"]).json(completion);
            with_lease(request, job.lease_id)
        };
        self.write("complete", request).await.map(drop)
    }

    /// Why the server has ended the lease of an attempt, if the history of the job says so. Without retries.
    pub(super) async fn expiry_cause(&self, job: &JobExecution) -> Option<ExpiryCause> {
        let request = self.request(Method::GET, &["jobs", &job.job_id.to_string(), "events"]);
        let history: Value =
            serde_json::from_slice(&self.send(request.timeout(TRY_TIMEOUT)).await.ok()?.body).ok()?;
        let is_expiry = |event: &&Value| {
            event["type"] == "job.lease_expired" && event["payload"]["attempt"] == job.attempt
        };
        let expired = history["events"].as_array()?.iter().find(is_expiry)?;
        ExpiryCause::deserialize(&expired["payload"]["cause"]).ok()
    }

    /// Sends a write until the server accepts or refuses it, however long that takes: the heartbeats keep the lease
    /// meanwhile, so if it were given up, the job would run for the server until its run timeout.
    async fn write(&self, what: &str, request: impl Fn() -> RequestBuilder) -> Result<Reply, WriteError> {
        self.write_while(&[Verdict::TryAgain, Verdict::Elsewhere], what, request).await
    }

    /// As [`Self::write`], repeated only for these verdicts.
    async fn write_while(
        &self,
        again: &[Verdict],
        what: &str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Reply, WriteError> {
        let mut backoff = Backoff::new();
        let mut told = false;
        loop {
            let (error, retry_after) = match self.send(request().timeout(TRY_TIMEOUT)).await {
                Ok(reply) => match reply.verdict() {
                    Verdict::Accepted => return Ok(reply),
                    Verdict::LeaseLost => return Err(WriteError::LeaseLost),
                    verdict if again.contains(&verdict) => (reply.explanation(), reply.retry_after),
                    Verdict::TryAgain | Verdict::Elsewhere | Verdict::Refused => {
                        return Err(WriteError::Refused(reply));
                    }
                },
                Err(error) => (chain(&error).to_string(), None),
            };
            if !told {
                tracing::warn!(server = %self.server, "{what}: {error}; trying again");
                told = true;
            }
            sleep(backoff.pause(retry_after)).await;
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Reply, reqwest::Error> {
        let response = request.send().await?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        if let Some(job_ids) = header("Rivet-Cancel") {
            self.held_jobs.cancel(job_ids);
        }
        let log_ack = header("Rivet-Log-Ack").and_then(|count| count.parse().ok());
        let retry_after = header("Retry-After").and_then(|after| after.parse().ok()).map(Duration::from_secs);
        let (status, location) = (response.status(), header("Location").map(ToOwned::to_owned));
        Ok(Reply { status, log_ack, retry_after, location, body: response.bytes().await?.to_vec() })
    }

    fn post(&self, path: &[&str]) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.http.request(method, self.server.api(path))
    }
}

fn with_lease(request: RequestBuilder, lease_id: Option<LeaseId>) -> RequestBuilder {
    match lease_id {
        Some(lease_id) => request.header("Rivet-Lease", lease_id.to_string()),
        None => request,
    }
}

fn execution(reply: &Reply) -> anyhow::Result<JobExecution> {
    serde_json::from_slice(&reply.body).context("the answer to a claim")
}
