//! What the tests of several modules begin with.

use chrono::{DateTime, Utc};
use rivet_events::id::{JobId, PipelineId};
use rivet_events::job::JobLaunched;

/// A launch with all defaults.
pub(crate) fn plain_launch(
    job_id: JobId,
    pipeline_id: PipelineId,
    requested_at: DateTime<Utc>,
) -> JobLaunched {
    JobLaunched {
        job_id,
        pipeline_id,
        pipeline_version: 1,
        parameters: serde_json::Map::new(),
        demands: vec![],
        priority: 5,
        max_retries: 0,
        timeout_seconds: None,
        retry_on_runner_lost: false,
        concurrency: None,
        retry_of: None,
        request_digest: None,
        requested_at,
    }
}
