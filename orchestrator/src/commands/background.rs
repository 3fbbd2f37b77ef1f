//! Commands that no client has sent: those of the reconcilers and the archiver, and the cancels that follow from a
//! launch or from the deletion of a pipeline. They go to one aggregate after another.
//!
//! A command that one aggregate refuses, or that fails for it alone, is logged and skipped, so that it does not hold
//! up the others. Only a failure that concerns all of them (log overloaded or unavailable) ends the round.

use std::error::Error;

use rivet_events::id::{CommandId, JobId};
use rivet_events::{Envelope, Metadata, StreamId};

use super::{CommandError, Commands};
use crate::domain::job::JobCommand;
use crate::telemetry::chain;

/// The log records no commands, whatever their aggregates: the round ends early, and the next one starts over.
#[derive(Debug, thiserror::Error)]
#[error("no commands are recorded")]
pub(crate) struct NotRecorded(#[source] Box<dyn Error + Send + Sync>);

/// The result of a command, or `None` if its aggregate is to be skipped: it refused (something else happened to it
/// first), cannot be read, or changes too fast. Other errors are passed on, since they would recur for every
/// aggregate.
pub(crate) fn done_or_skipped<T, E>(
    process: &'static str,
    stream: &StreamId,
    done: Result<T, CommandError<E>>,
) -> Result<Option<T>, NotRecorded>
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
            Err(NotRecorded(error.into()))
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

/// The metadata of commands that follow from an event: they belong to the chain, and to the request, that it belongs
/// to.
pub(crate) fn metadata_after(process: &'static str, cause: &Envelope) -> Metadata {
    let own = metadata(process);
    Metadata {
        correlation_id: cause.metadata.correlation_id.clone().or(own.correlation_id),
        causation_id: Some(cause.event_id.to_string()),
        request_id: cause.metadata.request_id.clone(),
        ..own
    }
}

impl Commands {
    /// Sends a command to a job; skips a job that refuses it or cannot be loaded.
    pub(crate) async fn reconcile_job(
        &self,
        process: &'static str,
        job_id: JobId,
        command: JobCommand,
    ) -> Result<(), NotRecorded> {
        self.reconcile_job_with(process, &metadata(process), job_id, command).await
    }

    /// As [`Self::reconcile_job`], with the metadata of the command.
    pub(crate) async fn reconcile_job_with(
        &self,
        process: &'static str,
        metadata: &Metadata,
        job_id: JobId,
        command: JobCommand,
    ) -> Result<(), NotRecorded> {
        let done = self.jobs.execute(job_id, command, metadata).await;
        done_or_skipped(process, &StreamId::job(job_id), done).map(drop)
    }
}
