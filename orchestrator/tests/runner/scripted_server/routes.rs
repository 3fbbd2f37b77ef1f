//! The runner's part of the protocol.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use rivet_events::id::JobId;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Job, Knowledge, Shared, fate};

pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/login", get(|| async { "Your name?" }))
        .route("/api/runners/register", post(register))
        .route("/api/runners/{id}", delete(leave))
        .route("/api/runners/{id}/heartbeat", post(heartbeat))
        .route("/api/jobs/claim", post(claim_next))
        .route("/api/jobs/scheduled", get(scheduled))
        .route("/api/jobs/{id}/claim", post(claim))
        .route("/api/jobs/{id}/status", put(status))
        .route("/api/jobs/{id}/logs", post(logs))
        .route("/api/jobs/{id}/complete", post(complete))
        .route("/api/jobs/{id}/events", get(history))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), fate::lose))
        .with_state(shared)
}

async fn register(State(shared): State<Shared>, Json(body): Json<Value>) -> Json<Value> {
    shared.knowledge.send_modify(|knowledge| knowledge.registrations.push(body.clone()));
    Json(body)
}

async fn leave(State(shared): State<Shared>, Path(runner): Path<String>) -> StatusCode {
    shared.knowledge.send_modify(|knowledge| knowledge.left.push(runner));
    StatusCode::NO_CONTENT
}

async fn heartbeat(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    if shared.knowledge.borrow().refuses_heartbeats {
        return StatusCode::FORBIDDEN.into_response();
    }
    let is_held = |lease| shared.knowledge.borrow().jobs.values().any(|job| !job.lost && job.lease == lease);
    if lease(&headers).is_some_and(|lease| !is_held(lease)) {
        refusal(StatusCode::CONFLICT, "lease_lost")
    } else {
        with_cancellations(&shared, StatusCode::NO_CONTENT.into_response())
    }
}

/// The history of a job, as far as it says why its lease was lost.
async fn history() -> Json<Value> {
    let payload = json!({ "attempt": 1, "cause": "rebooted" });
    Json(json!({ "events": [{ "type": "job.lease_expired", "payload": payload }] }))
}

async fn claim_next(State(shared): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if shared.misbehaviour.older {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    assert_eq!(body["fencing"], true);
    let wait = Duration::from_millis(body["wait_ms"].as_u64().expect("a wait"));
    let key = request_key(&headers);
    if is_over(&shared, key) {
        return refusal(StatusCode::CONFLICT, "lease_lost");
    }
    let mut knowledge = shared.knowledge.subscribe();
    let ready = |knowledge: &Knowledge| !knowledge.queue.is_empty() || knowledge.answered.contains_key(key);
    shared.knowledge.send_modify(|knowledge| {
        knowledge.waiting.insert(key.to_owned());
    });
    // Whether anything came is seen below.
    let _ = timeout(wait, knowledge.wait_for(ready)).await;
    shared.knowledge.send_modify(|knowledge| {
        knowledge.waiting.remove(key);
    });
    let given = give(&shared, key, |knowledge| {
        // The runner asks no more: what an older request of it, which is still held here, took would be lost.
        let job = if knowledge.last_claims.contains(key) { None } else { knowledge.queue.pop_front() };
        if wait.is_zero() {
            knowledge.last_claims.insert(key.to_owned());
        }
        job
    });
    given.map_or_else(|| StatusCode::NO_CONTENT.into_response(), |job| Json(job).into_response())
}

async fn scheduled(State(shared): State<Shared>) -> Json<Value> {
    Json(shared.knowledge.borrow().queue.iter().map(|id| json!({ "id": id })).collect())
}

async fn claim(State(shared): State<Shared>, Path(job_id): Path<JobId>, headers: HeaderMap) -> Response {
    let key = request_key(&headers);
    if is_over(&shared, key) {
        return refusal(StatusCode::NOT_FOUND, "job_not_found");
    }
    let claimed = give(&shared, key, |knowledge| {
        let place = knowledge.queue.iter().position(|id| *id == job_id)?;
        knowledge.queue.remove(place)
    });
    claimed.map_or_else(|| refusal(StatusCode::CONFLICT, "already_claimed"), |job| Json(job).into_response())
}

/// Whether a claim is the one that the server is done with, if it is told to have such a one.
fn is_over(shared: &Shared, key: &str) -> bool {
    let mut is_first = false;
    shared.knowledge.send_modify(|knowledge| {
        is_first = knowledge.first_claim.get_or_insert_with(|| key.to_owned()) == key;
    });
    shared.misbehaviour.first_claim_is_over && is_first
}

/// Gives a job to a request, or what this request got before.
fn give(shared: &Shared, key: &str, take: impl FnOnce(&mut Knowledge) -> Option<JobId>) -> Option<Value> {
    let mut given = None;
    shared.knowledge.send_modify(|knowledge| {
        given = knowledge.answered.get(key).cloned().or_else(|| {
            let job = take(knowledge).and_then(|job_id| knowledge.jobs.get_mut(&job_id))?;
            job.claims += 1;
            let execution = job.execution.clone();
            knowledge.answered.insert(key.to_owned(), execution.clone());
            Some(execution)
        });
    });
    given
}

async fn status(State(shared): State<Shared>, Path(job_id): Path<JobId>, headers: HeaderMap) -> Response {
    write(&shared, job_id, &headers, |_| StatusCode::NO_CONTENT.into_response())
}

async fn logs(
    State(shared): State<Shared>,
    Path(job_id): Path<JobId>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if shared.knowledge.borrow().refuses_logs {
        return StatusCode::FORBIDDEN.into_response();
    }
    let offset: usize =
        header(&headers, "Rivet-Log-Offset").and_then(|text| text.parse().ok()).expect("an offset");
    write(&shared, job_id, &headers, |job| {
        let status =
            if offset > job.log.len() { StatusCode::RANGE_NOT_SATISFIABLE } else { StatusCode::CREATED };
        if status.is_success() {
            let entries = body["entries"].as_array().expect("entries").iter();
            let entries = entries.map(|entry| (text(&entry["level"]), text(&entry["message"])));
            let new: Vec<_> = entries.skip(job.log.len() - offset).collect();
            job.log.extend(new);
        }
        (status, [("Rivet-Log-Ack", job.log.len().to_string())]).into_response()
    })
}

async fn complete(
    State(shared): State<Shared>,
    Path(job_id): Path<JobId>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    write(&shared, job_id, &headers, |job| {
        if job.completion.as_ref() != Some(&body) {
            job.completions += 1;
            job.completion = Some(body);
        }
        StatusCode::NO_CONTENT.into_response()
    })
}

/// Applies a write of the holder of a lease.
fn write(
    shared: &Shared,
    job_id: JobId,
    headers: &HeaderMap,
    apply: impl FnOnce(&mut Job) -> Response,
) -> Response {
    let mut answer = StatusCode::NOT_FOUND.into_response();
    shared.knowledge.send_modify(|knowledge| {
        if knowledge.redirects {
            knowledge.redirected += 1;
            answer = Redirect::to("/login").into_response();
            return;
        }
        let job = knowledge.job(job_id);
        answer = if job.lost || lease(headers) != Some(job.lease.as_str()) {
            job.refused += 1;
            refusal(StatusCode::CONFLICT, "lease_lost")
        } else {
            apply(job)
        };
    });
    with_cancellations(shared, answer)
}

fn with_cancellations(shared: &Shared, mut answer: Response<Body>) -> Response {
    let knowledge = shared.knowledge.borrow();
    let ids: Vec<String> =
        knowledge.jobs.iter().filter(|(_, job)| job.cancel).map(|(id, _)| id.to_string()).collect();
    if !ids.is_empty() {
        answer.headers_mut().insert("Rivet-Cancel", ids.join(", ").parse().expect("a header"));
    }
    answer
}

fn refusal(status: StatusCode, code: &str) -> Response {
    (status, Json(json!({ "error": code, "code": code }))).into_response()
}

fn lease(headers: &HeaderMap) -> Option<&str> {
    header(headers, "Rivet-Lease")
}

fn request_key(headers: &HeaderMap) -> &str {
    header(headers, "Rivet-Request-Key").expect("a request key")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
