//! `POST /api/jobs/claim`: finds, claims and returns a job in one call, and waits for one if there is none (long
//! poll).
//!
//! The dispatcher offers jobs to waiting requests. An offer is a hint: the claim still has to win, and a request
//! whose claim loses keeps its place in the line. With a `Rivet-Request-Key`, the answer is recorded in the append of
//! the claim, so that copies of one request get one job.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use rivet_events::claim::{ClaimAnswered, ClaimEvent};
use rivet_events::id::{JobId, LeaseId, RunnerId};
use rivet_events::log::StreamWrite;
use rivet_events::{Event, Metadata, StreamId, Version};
use serde::Deserialize;
use tokio::time::{Instant, interval_at};
use utoipa::ToSchema;

use super::body::JobExecutionInfo;
use super::claim_error::ClaimError;
use super::claiming::{self, Claim, answer_again};
use crate::dispatch::{ClaimPermit, Place, READ_WAIT, RequestCopy, RequestName, Reservation};
use crate::http::answer::{Recorded, done};
use crate::http::contact::Contact;
use crate::http::error::ApiError;
use crate::http::extract::{Client, Json, request_key};
use crate::http::header::REQUEST_KEY;
use crate::http::metadata::by_runner;
use crate::http::state::AppState;
use crate::http::wait::Wait;
use crate::run_to_completion::run_to_completion;
use crate::telemetry::chain;

/// Shortest pause between two contacts that are noted for a runner that waits.
const MIN_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"runner_id": "build-1", "wait_ms": 1000}))]
pub(in crate::http) struct ClaimNextRequest {
    /// The runner that claims.
    runner_id: RunnerId,
    /// How long to wait for a job, in milliseconds, 50,000 at most; not at all where absent.
    #[schema(value_type = Option<u64>)]
    wait_ms: Option<Wait>,
}

/// Claim the next job for a runner, and wait for it.
///
/// 200 with the job, or 204 if there was none in time. A runner that claims this way sends its lease with every
/// report. After `lease_lost`, what a request with this key was given is not its runner's any more: ask under another
/// key.
#[utoipa::path(
    post, path = "/api/jobs/claim", operation_id = "claimNextJob", tag = "Runners",
    params(("Rivet-Request-Key" = String, Header, min_length = 1, max_length = 255)),
    request_body = ClaimNextRequest,
    responses(
        (status = 200, description = "What it takes to run the job", body = JobExecutionInfo, headers(("Rivet-Position" = u64))),
        (status = 204, description = "No job came in time", headers(("Rivet-Position" = u64))),
        (status = 409, description = "`lease_lost`"),
    )
)]
pub(in crate::http) async fn claim_next(
    State(state): State<AppState>,
    Client(metadata): Client,
    headers: HeaderMap,
    Json(body): Json<ClaimNextRequest>,
) -> Result<Response, ApiError> {
    let metadata = by_runner(metadata, &body.runner_id);
    let key = request_key(&headers, &REQUEST_KEY)?;
    let registered = state.note_contact(Contact::Poll, &body.runner_id, &metadata).await?;
    let registered = registered.and_then(|committed| committed.position);
    let deadline = Instant::now() + body.wait_ms.unwrap_or_default().0;
    let request = Request { key, runner_id: body.runner_id, metadata };
    let copy = state.dispatcher.begin(request.name());
    // If an older copy of this request is claiming a job, the outcome counts for this one, too.
    drop(copy.permit().await);
    if let Some(answer) = request.first_answer(&state).await? {
        return Ok(answered(answer));
    }
    // The queue has to reflect what this server acknowledged before.
    state.read_models.wait_for(state.commands.acknowledged(), state.config.load.read_wait).await;
    let mut claimed = request.claim_when_offered(&state, &copy, deadline).await?;
    if claimed.is_none() {
        // A later copy of this request may have got a job.
        copy.latest_is_over(deadline).await;
        claimed = request.first_answer(&state).await?;
    }
    state.note_contact_or_warn(Contact::Poll, &request.runner_id, &request.metadata).await;
    Ok(claimed.map_or_else(
        // The head as far as this process knows it: many runners ask again and again, and nothing was decided on.
        || done(registered.unwrap_or_else(|| *state.commands.log().watch().borrow())).into_response(),
        answered,
    ))
}

fn answered(Recorded(position, info): Recorded<JobExecutionInfo>) -> Response {
    Recorded(position, JsonBody(info)).into_response()
}

/// A runner's request for the next job.
#[derive(Clone)]
struct Request {
    runner_id: RunnerId,
    key: Option<String>,
    metadata: Metadata,
}

impl Request {
    /// What its copies are recognized by; `None` without a key.
    fn name(&self) -> Option<RequestName> {
        Some((self.runner_id.clone(), self.key.clone()?))
    }

    /// The stream that keeps the one answer of this request; `None` without a key.
    fn stream(&self) -> Option<StreamId> {
        Some(StreamId::claim(&self.runner_id, self.key.as_ref()?))
    }

    /// What this request was answered before, if it was.
    async fn first_answer(&self, state: &AppState) -> Result<Option<Recorded<JobExecutionInfo>>, ApiError> {
        let Some(stream) = self.stream() else { return Ok(None) };
        let events = state.commands.log().read_stream(&stream, Version::default()).await?;
        match events.first().map(|envelope| &envelope.event) {
            Some(Event::Claim(ClaimEvent::Answered(answered))) => {
                let Recorded(_, info) = answer_again(state, answered.job_id, answered.lease_id).await?;
                Ok(events.first().map(|envelope| Recorded(envelope.position, info)))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Waits for offers and claims what is offered, until a claim is won or the time is up.
    async fn claim_when_offered(
        &self,
        state: &AppState,
        copy: &Arc<RequestCopy>,
        deadline: Instant,
    ) -> Result<Option<Recorded<JobExecutionInfo>>, ApiError> {
        let place = state.dispatcher.queue_up(self.runner_id.clone());
        while let Some(offered) = self.wait_for_offer(state, &place, copy, deadline).await? {
            let Some(permit) = copy.permit().await else { break };
            // The claim goes on when the client leaves. Otherwise its repeated request could hear that there was
            // nothing, and the job be lost until its lease expires.
            let (request, its_state) = (self.clone(), state.clone());
            let claim = async move { request.claim(&its_state, offered, permit).await };
            if let Some(claimed) = run_to_completion(&state.tasks, claim).await? {
                return Ok(Some(claimed));
            }
        }
        Ok(None)
    }

    /// Claims the offered job. `None` where it is another's, cannot be read, or the queue was behind: then the
    /// request goes back to its place in the line.
    async fn claim(
        &self,
        state: &AppState,
        offered: Reservation,
        _permit: ClaimPermit,
    ) -> Result<Option<Recorded<JobExecutionInfo>>, ApiError> {
        match self.try_claim(state, offered.job_id()).await {
            Ok(claimed) => {
                offered.won(claimed.0);
                Ok(Some(claimed))
            }
            Err(ClaimError::Full(_)) => {
                // Another claim took the place. Until the queue shows that, the job would be offered again and again.
                let head = state.commands.head().await?;
                state.read_models.wait_for(head, READ_WAIT).await;
                drop(offered);
                Ok(None)
            }
            Err(ClaimError::Refused(_) | ClaimError::Undefined(_)) => {
                offered.lost();
                Ok(None)
            }
            Err(ClaimError::Corrupt(stream, error)) => {
                let (job_id, error) = (offered.job_id(), chain(&*error));
                tracing::warn!(job.id = %job_id, stream.id = %stream, %error, "a job cannot be read, and is passed over");
                offered.lost();
                Ok(None)
            }
            // A copy of this request has won a job at another replica: this one is for the next in line.
            Err(ClaimError::Stale(_)) => {
                drop(offered);
                self.first_answer(state).await
            }
            Err(ClaimError::Failed(error)) => {
                // Not offered again at once: it would fail for the whole line, one after the other.
                offered.lost();
                Err(error)
            }
        }
    }

    /// Waits in the line for an offer. Notes contact of the runner meanwhile: a runner with an open request is alive.
    async fn wait_for_offer(
        &self,
        state: &AppState,
        place: &Place<'_>,
        copy: &RequestCopy,
        deadline: Instant,
    ) -> Result<Option<Reservation>, ApiError> {
        let pause =
            (state.config.leases.lease.min(state.config.leases.runner_offline_after) / 3).max(MIN_PAUSE);
        let mut pauses = interval_at(Instant::now() + pause, pause);
        let mut capabilities = state.capabilities(&self.runner_id).await?;
        let offer = loop {
            let offer = place.next_offer(capabilities.clone(), deadline);
            // A registration is applied to the cached state first, and then told to the line. So one that the line was told
            // of before this place was in it, is read here.
            let since = state.capabilities(&self.runner_id).await?;
            if since == capabilities {
                break offer;
            }
            capabilities = since;
        };
        let mut offer = std::pin::pin!(offer);
        loop {
            tokio::select! {
                offered = &mut offer => return Ok(offered?),
                () = state.draining.cancelled() => return Ok(None),
                () = copy.superseded() => return Ok(None),
                _ = pauses.tick() => state.note_contact_or_warn(Contact::Poll, &self.runner_id, &self.metadata).await,
            }
        }
    }

    async fn try_claim(
        &self,
        state: &AppState,
        job_id: JobId,
    ) -> Result<Recorded<JobExecutionInfo>, ClaimError> {
        let lease_id = LeaseId::generate();
        let claim = Claim {
            job_id,
            runner_id: self.runner_id.clone(),
            lease_id,
            fencing: true,
            request_key: self.key.clone(),
            metadata: self.metadata.clone(),
        };
        let answer: Vec<StreamWrite> =
            self.stream().map(|stream| self.keep(state, stream, job_id, lease_id)).into_iter().collect();
        claiming::claim(state, &claim, &answer).await
    }

    /// The write that records the answer. It is appended together with the claim, so one request can never get two
    /// jobs.
    fn keep(&self, state: &AppState, stream: StreamId, job_id: JobId, lease_id: LeaseId) -> StreamWrite {
        let answered = ClaimEvent::Answered(ClaimAnswered {
            runner_id: self.runner_id.clone(),
            request_key: self.key.clone().unwrap_or_default(),
            job_id,
            lease_id,
            answered_at: state.clock.now(),
        });
        StreamWrite { stream, expected: Version::default(), events: vec![Event::Claim(answered)] }
    }
}
