//! Cancels the queued jobs of deleted pipelines.

use chrono::{DateTime, Utc};
use rivet_projections::{job_queue, pipelines};

use super::{Processes, SweepError};
use crate::cancelling::cancel_waiting;

pub(super) async fn reconcile(processes: &Processes, now: DateTime<Utc>) -> Result<(), SweepError> {
    for pipeline_id in job_queue::pipelines(&processes.read_models).await? {
        let pipeline = pipelines::find(&processes.read_models, pipeline_id).await?;
        if pipeline.is_some_and(|pipeline| pipeline.deleted_at.is_some()) {
            cancel_waiting(&processes.commands, &processes.read_models, pipeline_id, now).await?;
        }
    }
    Ok(())
}
