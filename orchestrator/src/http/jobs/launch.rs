//! `POST /api/pipeline/launch`: launches a job of a pipeline's current version.
//!
//! That the pipeline has not moved is a condition of the append, so no job is launched with a version that another
//! replica has replaced. With an `Idempotency-Key` the id of the job is made from the key, so a repeated launch finds
//! the job.

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use rivet_events::id::{JobId, PipelineId};
use rivet_events::job::{Concurrency, JobEvent, JobLaunched};
use rivet_events::log::StreamWrite;
use rivet_events::pipeline::{ConcurrencyPolicy, PipelineDefinition};
use rivet_events::{Event, Metadata, Position, StreamId, Version};
use rivet_projections::jobs::Jobs;
use rivet_projections::projection::Projection;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::Job;
use crate::cancelling::cancel_older;
use crate::commands::{CommandError, Committed};
use crate::definition::{MAX_GROUP_BYTES, MAX_PRIORITY};
use crate::digest;
use crate::domain::job::{JobCommand, JobError, JobState, LaunchJob};
use crate::domain::pipeline::{PipelineState, Revision, check_parameters};
use crate::http::answer::Recorded;
use crate::http::error::ApiError;
use crate::http::extract::{Client, Json, request_key};
use crate::http::header::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED};
use crate::http::state::{AppState, unknown_job, unknown_pipeline};
use crate::telemetry::chain;

/// Priority of a job where neither the launch nor its pipeline has one.
const DEFAULT_PRIORITY: u8 = 5;
/// Most tries of a launch whose pipeline changes meanwhile.
const MAX_TRIES: usize = 4;

// A launch with a key is recorded with the digest of its JSON, and a repeated one is compared with that, perhaps by a
// later build. So a further member has to be left out where it is absent (`skip_serializing_if`), and these stay as
// they are.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(example = json!({"pipeline_id": "01a21390-aaaa-7bcd-8000-0123456789ab", "parameters": {"who": "world"}, "priority": 5}))]
pub(in crate::http) struct Launch {
    /// What to run.
    pipeline_id: PipelineId,
    /// Values of the declared inputs.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    parameters: Option<Map<String, Value>>,
    /// 0 (last) to 9 (first); the pipeline's where absent, or else 5.
    #[serde(default)]
    #[schema(maximum = 9)]
    priority: Option<u8>,
    /// The concurrency group: its jobs share a limit. The pipeline's where absent.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 255)]
    concurrency_group: Option<String>,
}

/// Launch a job of a pipeline.
///
/// Parameters are checked against the declared inputs, and defaults are filled in. A launch that is repeated with the
/// same `Idempotency-Key` and body is answered with the same job.
#[utoipa::path(
    post, path = "/api/pipeline/launch", operation_id = "launchJob", tag = "Jobs",
    params(("Idempotency-Key" = String, Header, min_length = 1, max_length = 255)),
    request_body = Launch,
    responses(
        (status = 200, description = "The job", body = Job,
            headers(("Rivet-Position" = u64), ("Idempotency-Replayed" = bool))),
        (status = 404, description = "`pipeline_not_found`"),
        (status = 409, description = "`key_reused`"),
        (status = 422, description = "`invalid_parameters`"),
    )
)]
pub(in crate::http) async fn launch(
    State(state): State<AppState>,
    Client(metadata): Client,
    headers: HeaderMap,
    Json(body): Json<Launch>,
) -> Result<Response, ApiError> {
    let key = request_key(&headers, &IDEMPOTENCY_KEY)?;
    check(&body)?;
    let digest = key.is_some().then(|| digest::of_json(&body));
    let job_id = match &key {
        Some(key) => JobId::for_idempotency_key(body.pipeline_id, key),
        None => JobId::generate(),
    };
    if let Some(replayed) = replayed(&state, job_id, digest.as_ref()).await? {
        return Ok(replayed);
    }
    execute(&state, body.pipeline_id, &metadata, |pipeline| {
        launched(&body, job_id, digest.as_ref(), pipeline, state.clock.now())
    })
    .await
}

/// Makes the launch from its pipeline, records it on the condition that the pipeline has not moved since it was loaded
/// (another replica may have revised or deleted it), and answers it.
pub(super) async fn execute(
    state: &AppState,
    pipeline_id: PipelineId,
    metadata: &Metadata,
    launch: impl Fn(&PipelineState) -> Result<JobLaunched, ApiError>,
) -> Result<Response, ApiError> {
    let pipelines = &state.commands.pipelines;
    for _ in 0..MAX_TRIES {
        let pipeline = pipelines.load(pipeline_id).await?;
        let launch = match launch(&pipeline.state) {
            Ok(launch) => launch,
            // Refused by a version that another replica has replaced.
            Err(_) if !pipelines.is_current(&pipeline).await? => continue,
            Err(refusal) => return Err(refusal),
        };
        match record(state, launch, metadata, &[pipeline.unmoved()]).await {
            Err(CommandError::Stale(_)) => {
                pipelines.reload(pipeline_id).await?;
            }
            recorded => return answer(state, &recorded?).await,
        }
    }
    Err(ApiError::unavailable("contended", "the pipeline changes too fast"))
}

/// Records the launch, on the condition that other streams have not moved. Without an idempotency key, the id of the
/// job was just generated.
async fn record(
    state: &AppState,
    launch: JobLaunched,
    metadata: &Metadata,
    on_condition: &[StreamWrite],
) -> Result<Committed<JobState>, CommandError<JobError>> {
    let (jobs, job_id) = (&state.commands.jobs, launch.job_id);
    if launch.request_digest.is_none() {
        jobs.expect_first(job_id);
    }
    let command = JobCommand::Launch(LaunchJob { launch: Box::new(launch) });
    jobs.execute_along(job_id, command, metadata, on_condition).await
}

fn launched(
    body: &Launch,
    job_id: JobId,
    digest: Option<&String>,
    pipeline: &PipelineState,
    now: DateTime<Utc>,
) -> Result<JobLaunched, ApiError> {
    let Revision { version, definition, .. } =
        pipeline.current().ok_or_else(|| unknown_pipeline(body.pipeline_id))?;
    Ok(JobLaunched {
        job_id,
        pipeline_id: body.pipeline_id,
        pipeline_version: *version,
        parameters: check_parameters(&definition.inputs, body.parameters.clone().unwrap_or_default())?,
        demands: definition.demands.clone(),
        priority: body.priority.or(definition.config.priority).unwrap_or(DEFAULT_PRIORITY),
        max_retries: definition.config.max_retries,
        timeout_seconds: definition.config.timeout_seconds,
        retry_on_runner_lost: definition.config.retry_on_runner_lost,
        concurrency: concurrency(body.concurrency_group.clone(), definition),
        retry_of: None,
        request_digest: digest.cloned(),
        requested_at: now,
    })
}

/// The answer to a launch with a key that was used before: the job, whatever has become of it and of its pipeline
/// since. `None` for a launch without a key, or with a new one.
pub(super) async fn replayed(
    state: &AppState,
    job_id: JobId,
    digest: Option<&String>,
) -> Result<Option<Response>, ApiError> {
    if digest.is_none() {
        return Ok(None);
    }
    let events = state.commands.log().read_stream(&StreamId::job(job_id), Version::default()).await?;
    let first = events.first().map(|first| (first.position, &first.event));
    let Some((position, Event::Job(JobEvent::Launched(launch)))) = first else { return Ok(None) };
    if launch.request_digest.as_ref() != digest {
        return Err(JobError::KeyReused.into());
    }
    // That it is purged ends a job only when its events are deleted.
    let purged = |event: &Event| matches!(event, Event::Job(JobEvent::Purged(_)));
    let kept = events.iter().filter(|envelope| !purged(&envelope.event));
    let row =
        kept.fold(None, |row, envelope| Jobs::apply(row, envelope)).ok_or_else(|| unknown_job(job_id))?;
    let first = Recorded(position, JsonBody(Job::from_row(row, state.clock.now())));
    let replayed = [(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"))];
    Ok(Some((replayed, first).into_response()))
}

/// The answer to a launch: the new job, or the one that a concurrent launch with the same key has launched.
async fn answer(state: &AppState, committed: &Committed<JobState>) -> Result<Response, ApiError> {
    let launch = committed.state.launch().expect("invariant: a launch was recorded, now or before");
    let (job_id, digest) = (launch.job_id, launch.request_digest.as_ref());
    let Some(position) = committed.position else {
        return replayed(state, job_id, digest).await?.ok_or_else(|| unknown_job(job_id));
    };
    if digest.is_none() {
        state.commands.job_logs.expect_first(job_id);
    }
    supersede(state, launch, position).await;
    Ok(Recorded(position, JsonBody(Job::launched(launch))).into_response())
}

fn check(body: &Launch) -> Result<(), ApiError> {
    if body.priority.is_some_and(|priority| priority > MAX_PRIORITY) {
        return Err(ApiError::refused("invalid_body", format!("priority: must be from 0 to {MAX_PRIORITY}")));
    }
    if body.concurrency_group.as_ref().is_some_and(|group| !(1..=MAX_GROUP_BYTES).contains(&group.len())) {
        let problem = format!("concurrency_group: must be 1 to {MAX_GROUP_BYTES} bytes long");
        return Err(ApiError::refused("invalid_body", problem));
    }
    Ok(())
}

fn concurrency(asked: Option<String>, definition: &PipelineDefinition) -> Option<Concurrency> {
    let config = &definition.config;
    Some(Concurrency {
        group: asked.or_else(|| config.concurrency_group.clone())?,
        limit: config.concurrency_limit.unwrap_or(1),
        policy: config.concurrency_policy.unwrap_or_default(),
    })
}

/// Cancels older jobs of the group, where the policy of the job, launched at `position`, says so. A reconciler cancels
/// those that this misses.
async fn supersede(state: &AppState, launch: &JobLaunched, position: Position) {
    let Some(concurrency) = &launch.concurrency else { return };
    if concurrency.policy != ConcurrencyPolicy::CancelOlder {
        return;
    }
    state.read_models.wait_for(state.commands.acknowledged(), state.config.load.read_wait).await;
    let (group, launch, now) = (&concurrency.group, (position, launch.job_id), state.clock.now());
    if let Err(error) = cancel_older(&state.commands, &state.read_models, group, launch, now).await {
        tracing::warn!(group, error = %chain(&error), "older jobs are cancelled later");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_launch_has_the_same_digest_in_every_build() {
        let digest = |body| digest::of_json(&serde_json::from_value::<Launch>(body).unwrap());
        let least = json!({"pipeline_id": "01a21390-aaaa-7bcd-8000-0123456789ab"});
        assert_eq!(digest(least.clone()), "354388711718573bae4ff9cbf1f2da88");
        let mut more = least;
        more["parameters"] = json!({"who": "world", "a": 1});
        more["priority"] = json!(5);
        assert_eq!(digest(more), "257da422e6a253eea304b087b4b9bee2");
    }
}
