//! Deadlines: no job waits or runs for ever.

use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{
    entry, failure, history, launched, new_job, new_pipeline, new_pipeline_with, pipeline, success,
};
use rivet_tests::server::{SWEEP_OFTEN, Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::wait::{eventually, until_ended, while_alive};
use serde_json::{Value, json};

on_both_stores! {
    a_job_that_nobody_takes_times_out,
    a_job_that_runs_too_long_times_out,
    a_pipeline_sets_its_own_deadline,
    a_holder_may_report_a_timeout_itself,
    deadlines_hold_over_a_restart,
}

/// The flags of a server that looks at deadlines often, and from its start on.
fn prompt(deadlines: [&str; 2]) -> [&str; 5] {
    let [one, other] = deadlines;
    [SWEEP_OFTEN, "--startup-grace", "0s", one, other]
}

async fn timed_out(api: &Client, job: &str) -> Value {
    let ended = until_ended(api, job).await;
    assert_eq!(ended["status"], "TimedOut");
    assert!(ended["completed_at"].is_string(), "{ended}");
    ended
}

async fn a_job_that_nobody_takes_times_out(kind: StoreKind) {
    let app = TestApp::start_with(kind, &prompt(["--queue-timeout", "2s"])).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let abandoned = launched(&api, &pipeline).await;
    // On a slow machine the queue timeout can pass before the claim.
    let taken = eventually("a claim in time", async || {
        let job = launched(&api, &pipeline).await;
        (api.claim(&job, "r").await.status == 200).then_some(job)
    })
    .await;
    let ended = timed_out(&api, &abandoned).await;
    assert_eq!(ended["reason"], "no runner took it within 2 s");
    api.claim(&abandoned, "r").await.expect_refusal(409, "already_claimed");
    assert_eq!(api.job(&taken).await.expect(200)["status"], "Running");
}

async fn a_job_that_runs_too_long_times_out(kind: StoreKind) {
    let app = TestApp::start_with(kind, &prompt(["--run-timeout", "1s"])).await;
    let api = app.client();
    let pipeline = new_pipeline_with(&api, &json!({})).await;
    let job = launched(&api, &pipeline).await;
    api.claim(&job, "r").await.expect(200);
    // The time limit applies although the holder is alive.
    let ended = while_alive(&api, "r", timed_out(&api, &job)).await;
    assert_eq!(ended["reason"], "it ran for longer than 1 s");
    // A holder that goes on writing its log is told by that.
    let told = api.append_logs(&job, &json!([entry("still at work")])).await;
    assert_eq!((told.status, told.header("rivet-cancel")), (201, Some(job.as_str())));
    api.complete(&job, &success()).await.expect_refusal(409, "already_completed");
    assert_eq!(api.get("/api/runners/r").await.expect(200)["status"], "Online");
}

async fn a_pipeline_sets_its_own_deadline(kind: StoreKind) {
    let app = TestApp::start_with(kind, &prompt(["--run-timeout", "2s"])).await;
    let api = app.client();
    let (short, long) = (json!({"timeout_seconds": 1}), json!({"timeout_seconds": 600}));
    let short = launched(&api, &new_pipeline_with(&api, &short).await).await;
    let long = launched(&api, &new_pipeline_with(&api, &long).await).await;
    let default = launched(&api, &new_pipeline_with(&api, &json!({})).await).await;
    for job in [&short, &long, &default] {
        api.claim(job, "r").await.expect(200);
    }
    assert_eq!(timed_out(&api, &short).await["reason"], "it ran for longer than 1 s");
    assert_eq!(timed_out(&api, &default).await["reason"], "it ran for longer than 2 s");
    assert_eq!(api.job(&long).await.expect(200)["status"], "Running");
    let mut request = pipeline("endless");
    request["config"] = json!({"timeout_seconds": 24 * 60 * 60 + 1});
    api.create_pipeline(&request).await.expect_refusal(422, "invalid_body");
}

async fn a_holder_may_report_a_timeout_itself(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_job(&api).await;
    api.claim(&job, "r").await.expect(200);
    api.complete_as(&job, "TimedOut", &failure()).await.expect(204);
    let ended = timed_out(&api, &job).await;
    assert_eq!(ended["result"], failure());
}

async fn deadlines_hold_over_a_restart(kind: StoreKind) {
    let store = Store::create(kind).await;
    let flags = prompt(["--run-timeout=1s", "--queue-timeout=1s"]);
    let server = Server::start(&store, &["--sweep-interval", "1h"]).await;
    let api = server.client();
    let pipeline = new_pipeline_with(&api, &json!({})).await;
    let (queued, running) = (launched(&api, &pipeline).await, launched(&api, &pipeline).await);
    api.claim(&running, "r").await.expect(200);
    server.kill();
    let server = Server::start(&store, &flags).await;
    let api = server.client();
    for job in [&queued, &running] {
        timed_out(&api, job).await;
        let (types, _) = history(&api, job).await;
        assert_eq!(types.last().map(String::as_str), Some("job.timed_out"));
    }
}
