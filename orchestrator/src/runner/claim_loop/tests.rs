use std::future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::*;
use crate::runner::held_jobs::HeldJobs;

const JOB: &str = "018f0000-0000-7000-8000-000000000001";

fn execution() -> Json<Value> {
    Json(json!({"job_id": JOB, "pipeline_id": JOB, "pipeline_source": "return {}", "parameters": {}}))
}

async fn claim_loop(server: Router, tasks: &mut JoinSet<()>) -> ClaimLoop {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tasks.spawn(async move { axum::serve(listener, server).await.unwrap() });
    let held_jobs = HeldJobs::default();
    let client = Client::new(url, "r".to_owned(), held_jobs.clone()).unwrap();
    let jobs = JobRunner {
        client: client.clone(),
        held_jobs,
        work_dir: std::env::temp_dir(),
        engine: None,
        termination_grace: Duration::ZERO,
        stop_now: CancellationToken::new(),
    };
    ClaimLoop::new(client, jobs, TaskTracker::new())
}

#[tokio::test]
async fn a_claim_by_id_that_was_not_answered_is_repeated_when_the_runner_drains() {
    let asked = Arc::new(Notify::new());
    let (arrived, claims) = (Arc::clone(&asked), Arc::new(AtomicUsize::new(0)));
    let claim = async move || {
        if claims.fetch_add(1, Ordering::Relaxed) == 0 {
            arrived.notify_one();
            future::pending::<()>().await;
        }
        execution()
    };
    // It has no next-claim.
    let server = Router::new()
        .route("/api/jobs/scheduled", get(async || Json(json!([{ "id": JOB }]))))
        .route(&format!("/api/jobs/{JOB}/claim"), post(claim));
    let mut tasks = JoinSet::new();
    let mut claim_loop = claim_loop(server, &mut tasks).await;

    tokio::select! {
        claimed = claim_loop.claim_once(CLAIM_WAIT) => panic!("{:?}", claimed.map(|job| job.map(|job| job.job_id))),
        () = asked.notified() => {}
    }
    let job = claim_loop.last_answer().await.map(|job| job.job_id.to_string());
    assert_eq!(job.as_deref(), Some(JOB));
}

#[tokio::test]
async fn a_runner_whose_claims_are_all_answered_claims_nothing_more_when_it_drains() {
    let claims = Arc::new(AtomicUsize::new(0));
    let claim = async move || {
        let is_first = claims.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first { StatusCode::NO_CONTENT.into_response() } else { execution().into_response() }
    };
    let mut tasks = JoinSet::new();
    let mut claim_loop = claim_loop(Router::new().route("/api/jobs/claim", post(claim)), &mut tasks).await;
    assert!(claim_loop.claim_once(CLAIM_WAIT).await.unwrap().is_none());
    assert!(claim_loop.last_answer().await.is_none());
}

#[tokio::test]
async fn a_proxy_that_answers_a_repeated_claim_with_404_does_not_lose_the_job() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&keys);
    let claim = async move |headers: HeaderMap| {
        let mut seen = seen.lock().unwrap();
        seen.push(headers["rivet-request-key"].clone());
        match seen.len() {
            1 => StatusCode::NO_CONTENT.into_response(),
            2 => StatusCode::BAD_GATEWAY.into_response(),
            3 => StatusCode::NOT_FOUND.into_response(),
            _ => execution().into_response(),
        }
    };
    let server = Router::new()
        .route("/api/jobs/claim", post(claim))
        .route("/api/jobs/scheduled", get(async || Json(json!([]))));
    let mut tasks = JoinSet::new();
    let mut claim_loop = claim_loop(server, &mut tasks).await;
    assert!(claim_loop.claim_once(CLAIM_WAIT).await.unwrap().is_none());
    assert!(claim_loop.claim_once(CLAIM_WAIT).await.is_err());
    assert!(claim_loop.claim_once(CLAIM_WAIT).await.is_err());
    assert!(claim_loop.claim_once(CLAIM_WAIT).await.unwrap().is_some());
    let keys = keys.lock().unwrap();
    assert!(keys[1..].iter().all(|key| *key == keys[1]), "{keys:?}");
}
