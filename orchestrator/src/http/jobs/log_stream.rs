//! `GET /api/jobs/{id}/logs/stream`: a job's log as it grows, as server-sent events.

use std::collections::VecDeque;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use rivet_events::Event;
use rivet_events::id::JobId;
use rivet_events::job::{Ending, JobStatus};
use rivet_events::job_log::JobLogEvent;
use rivet_events::log::ReadError;
use rivet_projections::job_logs::{self, NumberedEntry};
use rivet_projections::{AtLeast, QueryError, ReadModels, jobs};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::IntoParams;

use super::body::NumberedLogEntry;
use crate::feed::{Feed, FeedEvent, Filter, Follower};
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query, header_value};
use crate::http::header::LAST_EVENT_ID;
use crate::http::sse::{self, Frames, KEEP_ALIVE};
use crate::http::state::{AppState, unknown_job};
use crate::metrics::Stream;
use crate::telemetry::chain;

/// Type and id of the server-sent event with which the stream of an ended job ends.
const END: &str = "end";

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Start {
    /// Only entries after this index.
    #[serde(default)]
    after: u64,
}

/// Follow the log of a job, as server-sent events.
///
/// The data of each is a log entry in one line of JSON, and its id is its index: a client that reconnects with the
/// last id resumes there. When the job has ended, an event of type `end` follows, with the id `end`; its data says
/// how it ended.
#[utoipa::path(
    get, path = "/api/jobs/{id}/logs/stream", operation_id = "followLogs", tag = "Jobs",
    params(
        ("id" = Uuid, Path, description = "The job"),
        Start,
        ("Last-Event-ID" = String, Header, pattern = "^([0-9]+|end)$"),
    ),
    responses(
        (
            status = 200, description = "Every entry, as it arrives", body = String, content_type = "text/event-stream",
            example = json!("id: 1\ndata: {\"index\":1,\"attempt\":1,\"timestamp\":\"2026-01-31T12:00:00Z\",\"level\":\"Info\",\"message\":\"Hello, world\"}\n\n"),
        ),
        (status = 204, description = "The client has everything, and need not reconnect"),
        (status = 404, description = "`job_not_found`"),
    )
)]
pub(in crate::http) async fn stream(
    State(state): State<AppState>,
    Path(job_id): Path<JobId>,
    headers: HeaderMap,
    Query(start): Query<Start>,
) -> Result<Response, ApiError> {
    let job = jobs::find(&state.read_models, job_id).await?.ok_or_else(|| unknown_job(job_id))?;
    if headers.get(LAST_EVENT_ID).is_some_and(|id| id == END) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let after = header_value(&headers, &LAST_EVENT_ID)?.unwrap_or(start.after);
    let log = LogStream {
        read_models: state.read_models.clone(),
        feed: state.feed.clone(),
        job_id,
        after,
        ready: VecDeque::new(),
        end: End::of_row(&job),
        stage: Stage::Stored,
    };
    Ok(sse::answer(&state, Stream::JobLogs, Frames::opening(after), log))
}

/// The source of the stream: first what the read model has, then what comes in. What comes in is taken from the feed,
/// which many readers share, and not from the read model: a line costs no query, however many clients watch.
struct LogStream {
    read_models: ReadModels,
    feed: Feed,
    job_id: JobId,
    /// The last index that was sent.
    after: u64,
    /// Entries to send next.
    ready: VecDeque<NumberedEntry>,
    /// How the job ended, once that is known.
    end: Option<End>,
    stage: Stage,
}

enum Stage {
    /// Reads what the read model has.
    Stored,
    /// Everything in the read model was read; follows the feed.
    Live(Box<Follower>),
    /// The end was sent.
    Over,
}

/// Why a log could not be read on.
#[derive(Debug, thiserror::Error)]
enum LogStreamError {
    #[error(transparent)]
    Stored(#[from] QueryError),
    #[error(transparent)]
    Live(#[from] ReadError),
    #[error("a batch of the log cannot be read")]
    Unreadable(#[from] serde_json::Error),
}

impl sse::Source for LogStream {
    async fn next(&mut self) -> Option<Frames> {
        let deadline = Instant::now() + KEEP_ALIVE;
        match self.fill(deadline).await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(job.id = %self.job_id, error = %chain(&error), "a reader of a log has to come back");
                return None;
            }
        }
        let mut frames = Frames::default();
        while !frames.is_full()
            && let Some(entry) = self.ready.pop_front()
        {
            self.after = entry.index;
            frames.push(entry.index, &json(&NumberedLogEntry::from(entry)));
        }
        if !frames.is_empty() {
            return Some(frames);
        }
        match (&self.stage, &self.end) {
            (Stage::Over, _) => None,
            (Stage::Live(_), Some(end)) => {
                frames.push_as(END, END, &json(end));
                self.stage = Stage::Over;
                Some(frames)
            }
            (Stage::Stored, _) | (Stage::Live(_), None) => Some(Frames::keep_alive(self.after)),
        }
    }
}

impl LogStream {
    /// Finds entries to send, until the deadline or the end of the log.
    async fn fill(&mut self, deadline: Instant) -> Result<(), LogStreamError> {
        while self.ready.is_empty() {
            match &mut self.stage {
                Stage::Stored => {
                    // Taken before the page is read: what the page does not have comes after this position in the
                    // feed.
                    let position = self.read_models.position();
                    let as_it_is = AtLeast::default();
                    let (page, _) =
                        job_logs::page(&self.read_models, self.job_id, self.after, usize::MAX, as_it_is)
                            .await?;
                    self.ready = page.entries.into();
                    if self.ready.is_empty() && self.end.is_none() {
                        // The job may have ended while its log was read. Then the log is read once more, for what
                        // came before the end.
                        let job = jobs::find(&self.read_models, self.job_id).await?;
                        self.end = job.as_ref().and_then(End::of_row);
                        if self.end.is_some() {
                            continue;
                        }
                    }
                    if self.ready.is_empty() {
                        let of_job = Filter { stream_id: Some(self.job_id.to_string()), ..Filter::default() };
                        self.stage = Stage::Live(Box::new(self.feed.follow(of_job, position)));
                    }
                }
                Stage::Live(follower) => {
                    if self.end.is_some() {
                        return Ok(());
                    }
                    let Some(event) = follower.next(deadline).await? else { return Ok(()) };
                    self.take_in(&event)?;
                }
                Stage::Over => return Ok(()),
            }
        }
        Ok(())
    }

    fn take_in(&mut self, event: &FeedEvent) -> serde_json::Result<()> {
        match &event.envelope.event {
            Event::JobLog(JobLogEvent::Appended(batch)) => {
                let entries = NumberedEntry::all(batch)?;
                self.ready.extend(entries.filter(|entry| entry.index > self.after));
            }
            Event::Job(event) => self.end = event.ending().as_ref().map(End::of_event),
            Event::Pipeline(_)
            | Event::Runner(_)
            | Event::Claim(_)
            | Event::Group(_)
            | Event::Projection(_)
            | Event::Webhook(_)
            | Event::Archive(_)
            | Event::Unreadable(_) => {}
        }
        Ok(())
    }
}

/// How a job ended.
#[derive(Debug, Serialize)]
struct End {
    status: JobStatus,
    reason: Option<String>,
    /// What its runner reported as the error.
    error_message: Option<String>,
    completed_at: Option<DateTime<Utc>>,
}

impl End {
    fn of_row(job: &jobs::Job) -> Option<Self> {
        job.status.is_terminal().then(|| Self {
            status: job.status,
            reason: job.reason.clone(),
            error_message: job.result.as_ref().and_then(|result| result.error_message.clone()),
            completed_at: job.completed_at,
        })
    }

    fn of_event(ending: &Ending<'_>) -> Self {
        Self {
            status: ending.status,
            reason: ending.reason.map(str::to_owned),
            error_message: ending.result.and_then(|result| result.error_message.clone()),
            completed_at: Some(ending.at),
        }
    }
}

fn json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("invariant: the bodies of a log are plain data").into()
}
