//! `POST /api/jobs/{id}/logs`: appends a batch to the log of a job, which is a stream of its own.
//!
//! That the job has not moved is a condition of the append, so nothing is added by a sender that has lost its lease
//! meanwhile. The offset that the sender names tells what of a repeated batch is stored already.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use rivet_events::Metadata;
use rivet_events::id::{JobId, LeaseId};
use rivet_events::job_log::{LogEntries, LogEntry};
use rivet_events::log::ReadError;

use super::log_batch::Batch;
use super::nul;
use crate::commands::{CommandError, Committed, Loaded};
use crate::digest;
use crate::domain::job::{JobCommand, JobError, JobState, LogAttempt, StartJob};
use crate::domain::job_log::{AppendLog, JobLogCommand, JobLogError, JobLogState};
use crate::http::answer::Recorded;
use crate::http::error::ApiError;
use crate::http::extract::{Client, JsonWithNul, Path, header_value};
use crate::http::header::{CANCEL, LEASE, LOG_ACK, LOG_OFFSET};
use crate::http::metadata::by_holder;
use crate::http::state::{AppState, unknown_job};

/// Most tries of a batch whose job changes meanwhile.
const MAX_TRIES: usize = 4;

/// Append a batch to the log of a job.
///
/// The batch is stored entirely or not at all. With `Rivet-Log-Offset`, entries that are stored already are not
/// stored again.
#[utoipa::path(
    post, path = "/api/jobs/{id}/logs", operation_id = "appendLogs", tag = "Runners",
    params(("id" = Uuid, Path, description = "The job"), ("Rivet-Lease" = Uuid, Header), ("Rivet-Log-Offset" = u64, Header)),
    request_body = Batch,
    responses(
        (status = 201, description = "Stored", headers(("Rivet-Position" = u64), ("Rivet-Log-Ack" = u64), ("Rivet-Cancel" = String))),
        (status = 404, description = "`job_not_found`"),
        (status = 409, description = "`not_running`, `lease_lost`, `log_sealed`"),
        (status = 416, description = "`log_gap`", headers(("Rivet-Log-Ack" = u64))),
    )
)]
pub(in crate::http) async fn append(
    State(state): State<AppState>,
    Client(metadata): Client,
    headers: HeaderMap,
    Path(job_id): Path<JobId>,
    JsonWithNul(mut sent): JsonWithNul<Batch>,
) -> Result<Response, ApiError> {
    sent.settle_times()?;
    let entries = LogEntries::new(&sent.entries);
    let digest = digest::of_text(entries.json());
    let entries = with_nul_replaced(sent.entries).unwrap_or(entries);
    let sender = Sender {
        lease: header_value(&headers, &LEASE)?,
        offset: header_value(&headers, &LOG_OFFSET)?,
        client: metadata,
    };
    for _ in 0..MAX_TRIES {
        let (job, attempt) = sender.attempt(&state, job_id).await?;
        sender.check_not_archived(&state, &job).await?;
        let stored = sender.store(&state, &job, attempt, &entries, &digest).await;
        let still_holds = match &stored {
            Err(CommandError::Stale(_)) => {
                state.commands.jobs.evict(job_id);
                false
            }
            // Nothing was appended on the condition that the job has not moved.
            Err(CommandError::Refused(_)) | Ok(Stored { position: None, .. }) => {
                state.commands.jobs.is_current(&job).await?
            }
            Ok(_) | Err(_) => true,
        };
        if still_holds {
            let stored = match stored {
                Ok(stored) => stored,
                Err(error) => {
                    state.hear_holder(&job, sender.lease).await;
                    return Err(error.into());
                }
            };
            state.note_holder(&job.state, &sender.metadata(&job.state)).await;
            return answer(&state, &job.state, attempt, &stored).await;
        }
    }
    Err(ApiError::unavailable("contended", "the job changes too fast"))
}

/// The entries with their NUL characters replaced; `None` where there are none, and they are stored as they were
/// sent.
fn with_nul_replaced(mut entries: Vec<LogEntry>) -> Option<LogEntries> {
    if !entries.iter().any(|entry| entry.message.contains('\0')) {
        return None;
    }
    for entry in &mut entries {
        nul::replace_in_text(&mut entry.message);
    }
    Some(LogEntries::new(&entries))
}

/// The sender of a batch, as far as its request says.
struct Sender {
    lease: Option<LeaseId>,
    offset: Option<u64>,
    client: Metadata,
}

type Stored = Committed<JobLogState>;
type NotStored = CommandError<JobLogError>;

impl Sender {
    fn metadata(&self, job: &JobState) -> Metadata {
        by_holder(&self.client, job, self.lease)
    }

    /// The attempt that the sender writes for. Records the start of an attempt that was not reported as started: its
    /// log shows that it runs.
    async fn attempt(
        &self,
        state: &AppState,
        job_id: JobId,
    ) -> Result<(Loaded<JobState>, LogAttempt), ApiError> {
        let now = state.clock.now();
        let log_attempt = |job: &Loaded<JobState>| {
            job.state.log_attempt(self.lease, now, state.config.archive.retention.log_grace)
        };
        let mut job = state.commands.jobs.load(job_id).await?;
        if log_attempt(&job).is_err() {
            job = state.commands.jobs.load_fresh(job_id).await?;
        }
        let attempt = log_attempt(&job)?;
        if !attempt.is_news {
            return Ok((job, attempt));
        }
        let start = JobCommand::Start(StartJob { lease: self.lease, now });
        match state.commands.jobs.execute_by(job_id, start, |job| self.metadata(job)).await {
            // Refused if the job has ended at another replica; then its last lines are taken all the same.
            Ok(_) | Err(CommandError::Refused(_)) => job = state.commands.jobs.load(job_id).await?,
            Err(error) => {
                state.hear_holder(&job, self.lease).await;
                return Err(error.into());
            }
        }
        let attempt = log_attempt(&job)?;
        Ok((job, attempt))
    }

    /// Refuses the batch if the log is in the archive, whatever grace it was archived with.
    async fn check_not_archived(&self, state: &AppState, job: &Loaded<JobState>) -> Result<(), ApiError> {
        let JobState::Ended(ended) = &*job.state else { return Ok(()) };
        let Some(archive) = state.commands.log().archive() else { return Ok(()) };
        if archive.holds(ended.launch.job_id).await.map_err(ReadError)? {
            return Err(JobError::LogSealed.into());
        }
        Ok(())
    }

    /// Stores the batch on the condition that the job has not moved since the sender's attempt was determined.
    async fn store(
        &self,
        state: &AppState,
        job: &Loaded<JobState>,
        attempt: LogAttempt,
        entries: &LogEntries,
        digest: &str,
    ) -> Result<Stored, NotStored> {
        let launch = job.state.launch().expect("invariant: a job with an attempt was launched");
        let append = JobLogCommand::Append(AppendLog {
            job_id: launch.job_id,
            pipeline_id: launch.pipeline_id,
            attempt: attempt.attempt,
            offset: self.offset,
            entries: entries.clone(),
            digest: digest.to_owned(),
            now: state.clock.now(),
        });
        let metadata = self.metadata(&job.state);
        state.commands.job_logs.execute_along(launch.job_id, append, &metadata, &[job.unmoved()]).await
    }
}

async fn answer(
    state: &AppState,
    job: &JobState,
    attempt: LogAttempt,
    stored: &Stored,
) -> Result<Response, ApiError> {
    let position = state.position_of(stored).await?;
    let acknowledged = stored.state.acknowledged(attempt.attempt);
    let mut response = Recorded(position, StatusCode::CREATED).into_response();
    response.headers_mut().insert(LOG_ACK, acknowledged.into());
    if job.must_stop()
        && let Some(launch) = job.launch()
    {
        let id = launch.job_id;
        let value = HeaderValue::from_str(&id.to_string()).map_err(|_| unknown_job(id))?;
        response.headers_mut().insert(CANCEL, value);
    }
    Ok(response)
}
