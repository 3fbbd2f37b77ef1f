//! `POST /api/jobs/{id}/complete`: ends an attempt with its result.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use rivet_events::Metadata;
use rivet_events::id::{JobId, LeaseId};
use rivet_events::job::{JobResult, JobStatus};
use serde::Deserialize;
use serde_json::json;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::nul;
use crate::commands::{CommandError, Loaded};
use crate::domain::job::{
    CompleteJob, Ended, JobCommand, JobError, JobState, Queued, RefuseReport, Report, Retries, Running,
};
use crate::http::answer::{Recorded, done};
use crate::http::error::ApiError;
use crate::http::extract::{Client, JsonWithNul, Path, header_value};
use crate::http::header::LEASE;
use crate::http::metadata::by_holder;
use crate::http::openapi::one_of;
use crate::http::state::AppState;

/// A result (dialect A), or a status and most often a result (dialect B).
#[derive(Debug, Deserialize)]
pub(in crate::http) struct Complete {
    /// How the attempt ended; as the result says where absent.
    #[serde(default)]
    status: Option<JobStatus>,
    /// Its result.
    #[serde(default)]
    result: Option<JobResult>,
}

/// End an attempt with its result.
///
/// The body has `status`, `result`, or both; without `status` it is `Succeeded` or `Failed` by `result.success`. The
/// same result again is answered with 204.
#[utoipa::path(
    post, path = "/api/jobs/{id}/complete", operation_id = "completeJob", tag = "Runners",
    params(("id" = Uuid, Path, description = "The job"), ("Rivet-Lease" = Uuid, Header)),
    request_body = Complete,
    responses(
        (status = 204, description = "Recorded", headers(("Rivet-Position" = u64))),
        (status = 404, description = "`job_not_found`"),
        (status = 409, description = "`not_running`, `lease_lost`, `already_completed`"),
        (status = 422, description = "`invalid_status`"),
    )
)]
pub(in crate::http) async fn complete(
    State(state): State<AppState>,
    Client(metadata): Client,
    headers: HeaderMap,
    Path(job_id): Path<JobId>,
    JsonWithNul(mut body): JsonWithNul<Complete>,
) -> Result<Recorded<StatusCode>, ApiError> {
    if let Some(result) = &mut body.result {
        result.output.iter_mut().for_each(nul::replace_in);
        result.error_message.iter_mut().for_each(nul::replace_in_text);
    }
    let status = match (body.status, &body.result) {
        (Some(status), _) => status,
        (None, Some(result)) if result.success => JobStatus::Succeeded,
        (None, Some(_)) => JobStatus::Failed,
        (None, None) => return Err(ApiError::refused("invalid_body", "missing field `result`")),
    };
    let lease = header_value(&headers, &LEASE)?;
    finish(&state, job_id, lease, Report { status, result: body.result }, metadata).await
}

/// At least one of the two members is required.
impl PartialSchema for Complete {
    fn schema() -> RefOr<Schema> {
        let object = || {
            ObjectBuilder::new()
                .property("status", one_of(JobStatus::TERMINAL.map(JobStatus::as_str)))
                .property("result", Ref::from_schema_name(JobResult::name()))
        };
        AnyOfBuilder::new()
            .description(Some("A result (dialect A), or a status and most often a result (dialect B)."))
            .item(object().required("result"))
            .item(object().required("status"))
            .examples([json!({"status": "Succeeded", "result": {"success": true, "exit_code": 0}})])
            .into()
    }
}

impl ToSchema for Complete {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((JobResult::name().into_owned(), JobResult::schema()));
        JobResult::schemas(schemas);
    }
}

/// Ends the attempt. The report of a sender that has lost its lease is refused, and recorded for the history.
pub(super) async fn finish(
    state: &AppState,
    job_id: JobId,
    lease: Option<LeaseId>,
    report: Report,
    metadata: Metadata,
) -> Result<Recorded<StatusCode>, ApiError> {
    let now = state.clock.now();
    let loaded = before_report(state, job_id, lease).await?;
    let before = &*loaded.state;
    let by = |job: &JobState| by_holder(&metadata, job, lease);
    // A success is never retried, so its pipeline is not asked.
    let is_success = report.status == JobStatus::Succeeded;
    let retries = if is_success { Retries::Forbidden } else { state.retries(before).await };
    let complete = JobCommand::Complete(CompleteJob { lease, report: report.clone(), retries, now });
    match state.commands.jobs.execute_by(job_id, complete, by).await {
        Ok(committed) => {
            if is_end_of(before, &committed.state) {
                state.note_holder(before, &by(before)).await;
            }
            Ok(done(state.position_of(&committed).await?))
        }
        Err(CommandError::Refused(JobError::LeaseLost)) => {
            if let Some(lease) = lease {
                // Whatever the cached state said: the sender does not hold the job.
                let refuse = JobCommand::RefuseReport(RefuseReport { lease, report, now });
                state.commands.jobs.execute(job_id, refuse, &metadata).await?;
            }
            Err(JobError::LeaseLost.into())
        }
        Err(error) => {
            state.hear_holder(&loaded, lease).await;
            Err(error.into())
        }
    }
}

/// The job as it is before a report. If a report shows a lease that the cached holder does not have, another replica may
/// have moved the job on, so it is loaded from the log.
pub(super) async fn before_report(
    state: &AppState,
    job_id: JobId,
    lease: Option<LeaseId>,
) -> Result<Loaded<JobState>, ApiError> {
    let jobs = &state.commands.jobs;
    let cached = jobs.load(job_id).await?;
    let is_trusted = match (&*cached.state, lease) {
        (JobState::Running(Running { holder, .. }), Some(lease)) => holder.lease_id == lease,
        (JobState::Absent | JobState::Queued(_) | JobState::Ended(_), Some(_)) => false,
        // Without a lease nothing tells whether it is stale.
        (_, None) => true,
    };
    if is_trusted { Ok(cached) } else { Ok(jobs.load_fresh(job_id).await?) }
}

/// Whether `after` shows the end of the attempt that runs in `before`. If not, the report was of another attempt: one
/// that is reported again, or one that began at another replica.
fn is_end_of(before: &JobState, after: &JobState) -> bool {
    match (before, after) {
        (
            JobState::Running(Running { holder, .. }),
            JobState::Queued(Queued { history, .. }) | JobState::Ended(Ended { history, .. }),
        ) => history.last().is_some_and(|last| last.lease_id == holder.lease_id),
        (JobState::Absent | JobState::Queued(_) | JobState::Running(_) | JobState::Ended(_), _) => false,
    }
}
