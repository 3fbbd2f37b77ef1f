//! One job's life on this runner: report its start, run it in a process of its own, ship its log, and report its end.
//! Stops it when the server cancels it or its lease is lost.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use rivet_events::job::{ExpiryCause, JobResult};
use rivet_events::job_log::LogEntry;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::client::{Client, WriteError};
use super::container::Engine;
use super::execution::{Completion, JobExecution, failed};
use super::held_jobs::HeldJobs;
use super::job_process::{JobOrder, JobProcess, Message, Messages};
use super::log_shipper;
use super::workspace::Workspace;

/// Runs claimed jobs. Cheap to clone, one clone a running job.
#[derive(Debug, Clone)]
pub(super) struct JobRunner {
    pub(super) client: Client,
    pub(super) held_jobs: HeldJobs,
    /// Where workspaces are made.
    pub(super) work_dir: PathBuf,
    pub(super) engine: Option<Engine>,
    /// How long a cancelled job has to end by itself before it is killed.
    pub(super) termination_grace: Duration,
    /// Cancelled when the runner must end now.
    pub(super) stop_now: CancellationToken,
}

/// How the job's process came to its end.
enum End {
    /// By itself, or because it was cancelled. Without a result, there is the reason why.
    Ended { result: Result<JobResult, String>, cancelled: bool },
    /// It was killed, since the job does not belong to this runner any more.
    LeaseLost,
}

impl End {
    /// What to report of it; nothing of a job that is another runner's.
    fn completion(self) -> Option<Completion> {
        match self {
            Self::Ended { result, cancelled: true } => Some(Completion::of_cancelled(result.ok())),
            Self::Ended { result, cancelled: false } => {
                Some(Completion::of(result.unwrap_or_else(|why| failed(1, why))))
            }
            Self::LeaseLost => None,
        }
    }
}

impl JobRunner {
    /// Runs a claimed job to its end. When the runner itself is stopped meanwhile, the job is killed and no end is
    /// reported: its lease expires, and the server gives it to another runner without counting a failure.
    pub(super) async fn run(&self, job: JobExecution) {
        let (job_id, attempt) = (job.job_id, job.attempt);
        tracing::info!(%job_id, attempt, "job started");
        // Outside of what is dropped when the runner is stopped: the containers go before the workspace does.
        let mut workspace = None;
        let ended = self.stop_now.run_until_cancelled(self.run_and_report(&job, &mut workspace)).await;
        match ended {
            Some(Ok(completion)) => {
                let why = completion.error_message();
                tracing::info!(%job_id, attempt, status = completion.status().as_str(), why, "job ended");
            }
            Some(Err(WriteError::LeaseLost)) => self.tell_loss(&job).await,
            Some(Err(error @ WriteError::Refused(_))) => {
                tracing::warn!(%job_id, attempt, "job dropped: {error}");
            }
            None => {
                tracing::warn!(%job_id, attempt, "job killed: the server will give it to another runner");
                if let Some(workspace) = &workspace {
                    self.remove_containers(workspace).await;
                }
            }
        }
    }

    /// Logs that the lease of a job is lost, and why: nothing but the history says that the name of the runner was taken.
    async fn tell_loss(&self, job: &JobExecution) {
        let (job_id, attempt, error) = (job.job_id, job.attempt, WriteError::LeaseLost);
        match self.stop_now.run_until_cancelled(self.client.expiry_cause(job)).await.flatten() {
            Some(ExpiryCause::Rebooted) => tracing::error!(
                %job_id, attempt, "job dropped: {error}, since another process has registered under the name of this runner"
            ),
            cause @ (Some(ExpiryCause::Silent | ExpiryCause::NotStarted) | None) => {
                tracing::warn!(%job_id, attempt, cause = cause.map(debug), "job dropped: {error}");
            }
        }
    }

    async fn run_and_report(
        &self,
        job: &JobExecution,
        workspace: &mut Option<Workspace>,
    ) -> Result<Completion, WriteError> {
        let held = self.held_jobs.hold(job.job_id, job.attempt);
        // Nothing runs before the server has acknowledged the start: the job may be another runner's by now.
        self.client.start(job).await?;
        let completion = match self.execute(job, workspace, &held.cancel).await {
            Ok(Some(completion)) => completion,
            Ok(None) => return Err(WriteError::LeaseLost),
            Err(error) => Completion::of(failed(1, format!("{error:#}"))),
        };
        match self.client.complete(job, &completion).await {
            Ok(()) => Ok(completion),
            Err(WriteError::Refused(reply)) if reply.status != StatusCode::CONFLICT => {
                // Without any result the job would run for the server until its run timeout, and then run again.
                let why = format!("the server refused the result: {}", reply.explanation());
                let completion = Completion::of(failed(1, why));
                self.client.complete(job, &completion).await.map(|()| completion)
            }
            Err(error) => Err(error),
        }
    }

    /// Runs the job in a workspace of its own, which is in `slot` meanwhile. `None` when its lease is lost.
    async fn execute(
        &self,
        job: &JobExecution,
        slot: &mut Option<Workspace>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Option<Completion>> {
        let workspace = slot.insert(Workspace::create(&self.work_dir, job.job_id)?);
        let order =
            JobOrder { execution: job.clone(), workspace: workspace.path().to_owned(), engine: self.engine };
        let (process, messages) = JobProcess::spawn(&order).await?;
        let lost = CancellationToken::new();
        let (entries, shipped) = mpsc::channel(log_shipper::QUEUE_ENTRIES);
        let (end, refusal) = tokio::join!(
            self.supervise(process, messages, entries, cancel, &lost),
            log_shipper::ship(&self.client, job, shipped, &lost),
        );
        match &end {
            End::Ended { result: Ok(_), cancelled: false } => {}
            End::Ended { .. } | End::LeaseLost => self.remove_containers(workspace).await,
        }
        if let Some(workspace) = slot.take() {
            workspace.remove().await;
        }
        Ok(end.completion().map(|completion| completion.with_refused_log(refusal)))
    }

    /// Removes the containers that a job left in its workspace.
    async fn remove_containers(&self, workspace: &Workspace) {
        if let Some(engine) = self.engine {
            engine.remove_containers_in(workspace.path()).await;
        }
    }

    /// Watches the job's process to its end and passes its log on. When the job is cancelled, terminates the process,
    /// and kills it after the grace; when the lease is lost, kills it at once.
    async fn supervise(
        &self,
        process: JobProcess,
        messages: Messages,
        entries: mpsc::Sender<LogEntry>,
        cancel: &CancellationToken,
        lost: &CancellationToken,
    ) -> End {
        let group = process.group();
        let mut output = std::pin::pin!(forward(messages, entries));
        let stop = async {
            cancel.cancelled().await;
            group.terminate();
            sleep(self.termination_grace).await;
            group.kill();
            std::future::pending::<()>().await;
        };
        let result = tokio::select! {
            biased;
            () = lost.cancelled() => {
                process.reap().await;
                return End::LeaseLost;
            }
            result = &mut output => result,
            () = stop => None,
        };
        let status = process.reap().await;
        let result = result.ok_or_else(|| format!("the job's process ended without a result: {status}"));
        End::Ended { result, cancelled: cancel.is_cancelled() }
    }
}

/// Passes the job's log on, and returns its result once its process has ended.
async fn forward(mut messages: Messages, entries: mpsc::Sender<LogEntry>) -> Option<JobResult> {
    let mut result = None;
    while let Some(message) = messages.next().await {
        match message {
            // Fails only when the shipper has ended, because the lease is lost: then the job is killed, and the rest
            // of its log is not wanted.
            Message::Log(entry) => drop(entries.send(entry).await),
            Message::Result(ended) => result = Some(ended),
        }
    }
    result
}
