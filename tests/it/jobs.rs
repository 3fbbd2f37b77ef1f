//! The life of a job: what ends it, what an ended job refuses, cancellation, retries by hand, its history.

use rivet_tests::on_both_stores;
use rivet_tests::sample::{UNKNOWN, entry, failure, history, id, ids, new_claimed_job, new_job, success};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rivet_tests::verify::recorded;
use serde_json::json;

on_both_stores! {
    the_same_result_again_changes_nothing,
    nul_in_a_result_is_replaced,
    a_finished_job_stays_finished,
    a_job_that_was_not_claimed_cannot_be_reported,
    an_unknown_job_is_unknown_everywhere,
    a_queued_job_is_cancelled_at_once,
    an_ended_job_is_launched_again_by_hand,
    the_history_tells_everything,
    the_history_says_for_whom_a_report_was_accepted,
    a_stale_lease_is_refused,
}

async fn the_same_result_again_changes_nothing(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let first = api.complete(&job, &success()).await;
    first.expect(204);
    let before = api.job(&job).await.expect(200);
    api.complete(&job, &success()).await.expect(204);
    assert_eq!(api.job(&job).await.expect(200), before);
}

async fn nul_in_a_result_is_replaced(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let result =
        |nul: &str| json!({"success": false, "exit_code": 1, "output": {nul: [nul]}, "error_message": nul});
    for _ in 0..2 {
        api.complete(&job, &result("a\0b")).await.expect(204);
    }
    assert_eq!(api.job(&job).await.expect(200)["result"], result("a\u{fffd}b"));
}

async fn a_finished_job_stays_finished(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    api.complete(&job, &success()).await.expect(204);
    let before = api.job(&job).await.expect(200);
    api.complete(&job, &failure()).await.expect_refusal(409, "already_completed");
    api.cancel(&job).await.expect_refusal(409, "already_ended");
    let late = api.claim(&job, "s").await.expect_refusal(409, "already_claimed");
    assert_eq!(late["error"], "the job has already ended as Succeeded: it can no longer be claimed");
    assert_eq!(api.set_status(&job, "Running").await.status, 409);
    assert_eq!(api.job(&job).await.expect(200), before);
}

async fn a_job_that_was_not_claimed_cannot_be_reported(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_job(&api).await;
    api.complete(&job, &success()).await.expect_refusal(409, "not_running");
    api.append_logs(&job, &json!([entry("early")])).await.expect_refusal(409, "not_running");
    assert_eq!(api.set_status(&job, "Running").await.status, 409);
    let queued = api.set_status(&job, "Queued").await.expect_refusal(422, "invalid_status");
    assert_eq!(queued["error"], "a runner cannot report Queued here");
    assert_eq!(api.job(&job).await.expect(200)["status"], "Queued");
    assert_eq!(api.logs(&job).await.expect(200), json!([]));
}

async fn an_unknown_job_is_unknown_everywhere(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    for answer in [
        api.job(UNKNOWN).await,
        api.logs(UNKNOWN).await,
        api.history(UNKNOWN).await,
        api.claim(UNKNOWN, "r").await,
        api.execute(UNKNOWN, "r").await,
        api.set_status(UNKNOWN, "Running").await,
        api.set_status(UNKNOWN, "Queued").await,
        api.append_logs(UNKNOWN, &json!([entry("lost")])).await,
        api.append_bare_logs(UNKNOWN, &json!([entry("lost")])).await,
        api.complete(UNKNOWN, &success()).await,
        api.cancel(UNKNOWN).await,
        api.retry(UNKNOWN).await,
    ] {
        answer.expect_refusal(404, "job_not_found");
    }
}

async fn a_queued_job_is_cancelled_at_once(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_job(&api).await;
    assert!(api.cancel(&job).await.status < 300);
    assert_eq!(api.job(&job).await.expect(200)["status"], "Cancelled");
    assert_eq!(ids(&api.scheduled(None).await.expect(200)), Vec::<String>::new());
    api.cancel(&job).await.expect(204);
    assert_eq!(api.claim(&job, "r").await.status, 409);
}

async fn an_ended_job_is_launched_again_by_hand(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    assert_eq!(api.retry(&job).await.status, 409);
    api.complete(&job, &failure()).await.expect(204);
    let again = api.retry(&job).await.expect(200);
    assert_ne!(id(&again), job);
    assert_eq!(again["retry_of"], job);
    assert_eq!(again["status"], "Queued");
    assert_eq!(api.job(&job).await.expect(200)["status"], "Failed");
}

async fn the_history_tells_everything(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    api.set_status(&job, "Running").await.expect(204);
    api.complete(&job, &success()).await.expect(204);
    let history = api.history(&job).await.expect(200);
    let events = history["events"].as_array().expect("events are a list");
    assert!(events.len() >= 4, "{history}");
    for (place, event) in events.iter().enumerate() {
        assert_eq!(event["sequence"], place + 1, "{event}");
        assert_eq!(event["stream_id"], job, "{event}");
        for member in ["event_id", "type", "recorded_at"] {
            assert!(event[member].is_string(), "{member}: {event}");
        }
    }
    assert!(events.iter().any(|event| event["metadata"]["actor"] == "runner:r"), "{history}");
    let launched = events[0]["position"].as_u64().expect("a position is a number");
    assert_eq!(api.get(&format!("/api/jobs/{job}?at={launched}")).await.expect(200)["status"], "Queued");
    assert_eq!(api.get(&format!("/api/jobs/{job}?at=1000000")).await.status, 422);
}

async fn the_history_says_for_whom_a_report_was_accepted(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let actors = async |job: &str| -> Vec<String> {
        let (_, events) = history(&api, job).await;
        events.iter().map(|event| event["metadata"]["actor"].as_str().unwrap().to_owned()).collect()
    };
    let job = new_job(&api).await;
    let holder = api.holding(&api.claim_fencing(&job, "r").await.expect(200));
    holder.append_logs(&job, &json!([entry("a")])).await.expect(201);
    holder.complete(&job, &success()).await.expect(204);
    assert_eq!(actors(&job).await, ["client", "runner:r", "runner:r", "runner:r"]);
    // In an attempt that does not fence, a report without a lease is accepted as the holder's.
    let job = new_claimed_job(&api, "r").await;
    api.append_logs(&job, &json!([entry("a")])).await.expect(201);
    api.set_status(&job, "Succeeded").await.expect(204);
    assert_eq!(actors(&job).await, ["client", "runner:r", "runner:r", "runner:r"]);
    let lines = recorded(&api, "job_log.appended").await;
    assert!(lines.iter().all(|event| event["metadata"]["actor"] == "runner:r"), "{lines:?}");
}

async fn a_stale_lease_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_job(&api).await;
    let lease =
        api.claim(&job, "r").await.expect(200)["lease_id"].as_str().expect("a lease is text").to_owned();
    let (holder, stranger) = (api.with("rivet-lease", &lease), api.with("rivet-lease", UNKNOWN));
    stranger.complete(&job, &success()).await.expect_refusal(409, "lease_lost");
    stranger.append_logs(&job, &json!([entry("x")])).await.expect_refusal(409, "lease_lost");
    stranger.set_status(&job, "Running").await.expect_refusal(409, "lease_lost");
    assert_eq!(api.job(&job).await.expect(200)["status"], "Running");
    holder.append_logs(&job, &json!([entry("x")])).await.expect(201);
    holder.complete(&job, &success()).await.expect(204);
}
