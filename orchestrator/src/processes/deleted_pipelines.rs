//! Cancels the queued jobs of deleted pipelines.

use chrono::{DateTime, Utc};
use rivet_projections::pipeline_activity;

use super::{Processes, SweepError};
use crate::cancelling::cancel_waiting;

pub(super) async fn reconcile(processes: &Processes, now: DateTime<Utc>) -> Result<(), SweepError> {
    for pipeline_id in pipeline_activity::deleted_with_waiting(&processes.read_models).await? {
        cancel_waiting(&processes.commands, &processes.read_models, pipeline_id, now).await?;
    }
    Ok(())
}
