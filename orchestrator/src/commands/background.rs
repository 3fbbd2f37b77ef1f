//! Commands that no client has sent: those of the reconcilers, and the cancels that follow from a launch or from the
//! deletion of a pipeline. They go to one aggregate after another.
//!
//! A command that one aggregate refuses, or that fails for it alone, is logged and skipped, so that it does not hold
//! up the others. Only a failure that concerns all of them (log overloaded or unavailable) ends the round.

use std::error::Error;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::stream::{self, TryStreamExt as _};
use rivet_events::id::{CommandId, JobId, PipelineId};
use rivet_events::pipeline::ConcurrencyPolicy;
use rivet_events::{Metadata, StreamId};
use rivet_projections::job_queue::{self, QueuedJob};
use rivet_projections::{QueryError, ReadModels};

use super::{CommandError, Commands};
use crate::domain::job::{CancelJob, JobCommand};
use crate::telemetry::chain;

/// Jobs that are read at a time.
const PAGE: usize = 500;
/// Commands that are sent at a time: they are committed together.
const CONCURRENT: usize = 32;

/// Why a round of commands ended early. The next round starts over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("a command of the reconciler failed")]
    Command(#[source] Box<dyn Error + Send + Sync>),
}

/// The result of a command, or `None` if its aggregate is to be skipped: it refused (something else happened to it
/// first), cannot be read, or changes too fast. Other errors are passed on, since they would recur for every
/// aggregate.
pub(crate) fn done_or_skipped<T, E>(
    process: &'static str,
    stream: &StreamId,
    done: Result<T, CommandError<E>>,
) -> Result<Option<T>, ReconcileError>
where
    E: Error + Send + Sync + 'static,
{
    match done {
        Ok(done) => Ok(Some(done)),
        Err(CommandError::Refused(refusal)) => {
            tracing::debug!(process, stream.id = %stream, %refusal, "overtaken");
            Ok(None)
        }
        Err(error @ (CommandError::Corrupt(..) | CommandError::Contended(_) | CommandError::Stale(_))) => {
            tracing::warn!(process, stream.id = %stream, error = %chain(&error), "passed over");
            Ok(None)
        }
        Err(error @ (CommandError::Overloaded | CommandError::Unavailable(_))) => {
            Err(ReconcileError::Command(error.into()))
        }
    }
}

/// The metadata of the commands that a background process sends: the process is their actor.
pub(crate) fn metadata(process: &'static str) -> Metadata {
    Metadata {
        actor: Some(format!("process:{process}")),
        correlation_id: Some(CommandId::generate().to_string()),
        ..Metadata::default()
    }
}

impl Commands {
    /// Sends a command to a job; skips a job that refuses it or cannot be loaded.
    pub(crate) async fn reconcile_job(
        &self,
        process: &'static str,
        job_id: JobId,
        command: JobCommand,
    ) -> Result<(), ReconcileError> {
        let done = self.jobs.execute(job_id, command, &metadata(process)).await;
        done_or_skipped(process, &StreamId::job(job_id), done).map(drop)
    }

    /// Cancels the queued jobs of a deleted pipeline.
    pub(crate) async fn cancel_waiting(
        &self,
        read_models: &ReadModels,
        pipeline_id: PipelineId,
        now: DateTime<Utc>,
    ) -> Result<(), ReconcileError> {
        let mut last = None;
        loop {
            let page = job_queue::of_pipeline(read_models, pipeline_id, last.as_ref(), PAGE).await?;
            let waiting = page.iter().map(|job| job.job_id);
            self.cancel_all("deleted_pipelines", waiting, "its pipeline was deleted", now).await?;
            last = page.into_iter().next_back();
            if last.is_none() {
                return Ok(());
            }
        }
    }

    /// Finds the newest job of a concurrency group with the policy `cancel_older`, and cancels the queued and running
    /// jobs of the group that are older than it.
    pub(crate) async fn cancel_older(
        &self,
        read_models: &ReadModels,
        group: &str,
        now: DateTime<Utc>,
    ) -> Result<(), ReconcileError> {
        let (mut members, mut newest, mut last) = (Vec::new(), None, None);
        loop {
            let page = job_queue::of_group(read_models, group, last, PAGE).await?;
            let place = |job: &QueuedJob| (job.launched_at, job.job_id);
            members.extend(page.iter().map(place));
            newest = newest.max(page.iter().filter(|job| cancels_older(job)).map(place).max());
            match page.last() {
                Some(job) => last = Some(job.job_id),
                None => break,
            }
        }
        let Some((launched_at, newest)) = newest else { return Ok(()) };
        let older =
            members.into_iter().filter(|(position, _)| *position < launched_at).map(|(_, job_id)| job_id);
        self.cancel_all("superseded", older, &format!("superseded by job {newest}"), now).await
    }

    /// Cancels queued jobs, and asks the runners of running ones to stop. It never ends a running job by itself: whether
    /// the runner is silent is for the reconciler `cancellations` to judge, hence the endless grace.
    async fn cancel_all(
        &self,
        process: &'static str,
        jobs: impl Iterator<Item = JobId>,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<(), ReconcileError> {
        let cancel = CancelJob {
            reason: Some(reason.to_owned()),
            force: false,
            grace: Duration::MAX,
            last_contact: None,
            now,
        };
        stream::iter(jobs.map(Ok))
            .try_for_each_concurrent(CONCURRENT, |job_id| {
                self.reconcile_job(process, job_id, JobCommand::Cancel(cancel.clone()))
            })
            .await
    }
}

fn cancels_older(job: &QueuedJob) -> bool {
    job.concurrency.as_ref().is_some_and(|concurrency| concurrency.policy == ConcurrencyPolicy::CancelOlder)
}
