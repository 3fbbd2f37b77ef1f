//! Cancels many jobs: the waiting ones of a deleted pipeline, and those that a newer job of their concurrency group
//! supersedes. A request does this at once, and a reconciler does what the request has missed. Either way the cancels
//! name the deletion or the launch that they follow from as their cause.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::stream::{self, TryStreamExt as _};
use rivet_events::id::{JobId, PipelineId};
use rivet_events::{Metadata, Position, StreamId, Version};
use rivet_projections::{QueryError, ReadModels, job_queue};

use crate::commands::{Commands, NotRecorded, metadata, metadata_after};
use crate::domain::job::{CancelJob, JobCommand};

/// Jobs that are read at a time.
const PAGE: usize = 500;
/// Commands that are sent at a time: they are committed together.
const CONCURRENT: usize = 32;

/// Why not all of the jobs were cancelled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CancelError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    NotRecorded(#[from] NotRecorded),
}

/// Cancels the queued jobs of a deleted pipeline.
pub(crate) async fn cancel_waiting(
    commands: &Commands,
    read_models: &ReadModels,
    pipeline_id: PipelineId,
    now: DateTime<Utc>,
) -> Result<(), CancelError> {
    // Nothing follows the deletion of a pipeline.
    let deletion = (StreamId::pipeline(pipeline_id), Version::MAX);
    let cause =
        cause_of(commands, "deleted_pipelines", deletion, "its pipeline was deleted".to_owned()).await;
    let mut last = None;
    loop {
        let page = job_queue::of_pipeline(read_models, pipeline_id, last.as_ref(), PAGE).await?;
        let waiting = page.iter().map(|job| job.job_id);
        cancel_all(commands, &cause, waiting, now).await?;
        last = page.into_iter().next_back();
        if last.is_none() {
            return Ok(());
        }
    }
}

/// Cancels the queued and running jobs of a concurrency group that were launched before this job of it, which has the
/// policy `cancel_older`.
pub(crate) async fn cancel_older(
    commands: &Commands,
    read_models: &ReadModels,
    group: &str,
    (launched_at, newest): (Position, JobId),
    now: DateTime<Utc>,
) -> Result<(), CancelError> {
    let (mut older, mut last) = (Vec::new(), None);
    loop {
        let page = job_queue::older_of_group(read_models, group, launched_at, last.as_ref(), PAGE).await?;
        older.extend(page.iter().map(|job| job.job_id));
        last = page.into_iter().next_back();
        if last.is_none() {
            break;
        }
    }
    if older.is_empty() {
        return Ok(());
    }
    let launch = (StreamId::job(newest), Version(1));
    let cause = cause_of(commands, "superseded", launch, format!("superseded by job {newest}")).await;
    cancel_all(commands, &cause, older.into_iter(), now).await
}

/// What jobs are cancelled for.
struct Cause {
    /// The process that cancels them, in a request too.
    process: &'static str,
    metadata: Metadata,
    reason: String,
}

/// The cause of cancels that follow from an event: the last one of a stream up to a version. Where that cannot be read,
/// their metadata does not name it, since it holds up no cancel.
async fn cause_of(
    commands: &Commands,
    process: &'static str,
    (stream, until): (StreamId, Version),
    reason: String,
) -> Cause {
    let found = commands.log().read_stream_end(&stream, until, 1).await;
    let metadata = match found.ok().and_then(|found| found.into_iter().next()) {
        Some(event) => metadata_after(process, &event),
        None => metadata(process),
    };
    Cause { process, metadata, reason }
}

/// Cancels queued jobs, and asks the runners of running ones to stop. It never ends a running job by itself: whether
/// the runner is silent is for the reconciler `cancellations` to judge, hence the endless grace.
async fn cancel_all(
    commands: &Commands,
    Cause { process, metadata, reason }: &Cause,
    jobs: impl Iterator<Item = JobId>,
    now: DateTime<Utc>,
) -> Result<(), CancelError> {
    let cancel = CancelJob {
        reason: Some(reason.clone()),
        force: false,
        grace: Duration::MAX,
        last_contact: None,
        now,
    };
    stream::iter(jobs.map(Ok))
        .try_for_each_concurrent(CONCURRENT, |job_id| {
            commands.reconcile_job_with(process, metadata, job_id, JobCommand::Cancel(cancel.clone()))
        })
        .await?;
    Ok(())
}
