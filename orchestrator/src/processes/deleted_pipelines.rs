//! Cancels the waiting jobs of deleted pipelines.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::id::PipelineId;
use rivet_projections::{ReadModels, job_queue, pipelines};

use super::{PAGE, Processes, SweepError, command};
use crate::commands::Commands;
use crate::domain::job::{CancelJob, JobCommand};

pub(super) async fn reconcile(processes: &Processes, now: DateTime<Utc>) -> Result<(), SweepError> {
    for pipeline_id in job_queue::pipelines(&processes.read_models).await? {
        let pipeline = pipelines::find(&processes.read_models, pipeline_id).await?;
        if pipeline.is_none_or(|pipeline| pipeline.deleted_at.is_none()) {
            continue;
        }
        cancel_waiting(&processes.commands, &processes.read_models, pipeline_id, now).await?;
    }
    Ok(())
}

/// Cancels jobs that wait for a deleted pipeline, a page of them.
pub(crate) async fn cancel_waiting(
    commands: &Commands,
    read_models: &ReadModels,
    pipeline_id: PipelineId,
    now: DateTime<Utc>,
) -> Result<(), SweepError> {
    for job in job_queue::of_pipeline(read_models, pipeline_id, PAGE).await? {
        let cancel = CancelJob {
            reason: Some("its pipeline was deleted".to_owned()),
            force: false,
            grace: Duration::MAX,
            last_contact: None,
            now,
        };
        command(commands, "deleted_pipelines", job.job_id, JobCommand::Cancel(cancel)).await?;
    }
    Ok(())
}
