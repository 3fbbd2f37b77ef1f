//! Commands that nobody waits for: to one aggregate after the other, of which none holds up the others.

use std::error::Error;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::id::{CommandId, JobId, PipelineId};
use rivet_events::pipeline::ConcurrencyPolicy;
use rivet_events::{Metadata, StreamId};
use rivet_projections::job_queue::{self, QueuedJob};
use rivet_projections::{QueryError, ReadModels};

use super::{CommandError, Commands};
use crate::domain::job::{CancelJob, JobCommand};
use crate::telemetry::chain;

/// Jobs that are cancelled at once.
const PAGE: usize = 500;

/// Why a round of commands ended early; the next one begins anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("a command of the reconciler failed")]
    Command(#[source] Box<dyn Error + Send + Sync>),
}

/// What came of an aggregate, if anything did. What it refuses has been overtaken by events, and one that cannot be
/// dealt with is no reason to leave the others.
pub(crate) fn unless_passed_over<T, E>(
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

/// Who sends the commands of a process.
pub(crate) fn metadata(process: &'static str) -> Metadata {
    Metadata {
        actor: Some(format!("process:{process}")),
        correlation_id: Some(CommandId::generate().to_string()),
        ..Metadata::default()
    }
}

impl Commands {
    /// A command to a job.
    pub(crate) async fn reconcile_job(
        &self,
        process: &'static str,
        job_id: JobId,
        command: JobCommand,
    ) -> Result<(), ReconcileError> {
        let done = self.jobs.execute(job_id, command, &metadata(process)).await;
        unless_passed_over(process, &StreamId::job(job_id), done).map(drop)
    }

    /// Cancels jobs that wait for a deleted pipeline, a page of them.
    pub(crate) async fn cancel_waiting(
        &self,
        read_models: &ReadModels,
        pipeline_id: PipelineId,
        now: DateTime<Utc>,
    ) -> Result<(), ReconcileError> {
        for job in job_queue::of_pipeline(read_models, pipeline_id, PAGE).await? {
            let cancel = cancel("its pipeline was deleted".to_owned(), now);
            self.reconcile_job("deleted_pipelines", job.job_id, cancel).await?;
        }
        Ok(())
    }

    /// Cancels what is older in its group than the newest job that wants it so, waiting or running.
    pub(crate) async fn cancel_older(
        &self,
        read_models: &ReadModels,
        group: &str,
        now: DateTime<Utc>,
    ) -> Result<(), ReconcileError> {
        let jobs = job_queue::of_group(read_models, group, PAGE).await?;
        let Some(newest) = jobs.iter().rposition(cancels_older) else { return Ok(()) };
        for older in &jobs[..newest] {
            let cancel = cancel(format!("superseded by job {}", jobs[newest].job_id), now);
            self.reconcile_job("superseded", older.job_id, cancel).await?;
        }
        Ok(())
    }
}

/// The runner of a job that runs is told; whether it is silent is the business of another process.
fn cancel(reason: String, now: DateTime<Utc>) -> JobCommand {
    JobCommand::Cancel(CancelJob {
        reason: Some(reason),
        force: false,
        grace: Duration::MAX,
        last_contact: None,
        now,
    })
}

fn cancels_older(job: &QueuedJob) -> bool {
    job.concurrency.as_ref().is_some_and(|concurrency| concurrency.policy == ConcurrencyPolicy::CancelOlder)
}
