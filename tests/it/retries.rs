//! Retries: a failed job waits for its backoff, and its history keeps every attempt.

use std::sync::Arc;
use std::time::Duration;

use rivet_orchestrator::clock::{Clock, ManualClock, SystemClock};
use rivet_orchestrator::config::Config;
use rivet_tests::client::Client;
use rivet_tests::local_server::LocalServer;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{entry, failure, history, launched, micros, new_pipeline_with, success};
use rivet_tests::server::TestApp;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::{recorded, verify};
use rivet_tests::wait::{eventually, throughout, until_ended, until_shown};
use serde_json::{Value, json};

on_both_stores! {
    a_failed_attempt_waits_for_its_time,
    the_report_of_an_earlier_attempt_may_be_repeated,
    an_attempt_that_ran_too_long_is_tried_again,
    a_deleted_pipeline_has_no_further_attempts,
}

/// A server that looks at deadlines often, by a clock that stands still.
async fn start_with_clock(store: &Store) -> (LocalServer, Arc<ManualClock>) {
    let mut config = Config::for_tests(store.url());
    config.leases.sweep_interval = Duration::from_millis(50);
    config.leases.startup_grace = Some(Duration::ZERO);
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    (LocalServer::start(config, clock.clone()).await, clock)
}

async fn new_job_with_retries(api: &Client, config: &Value) -> String {
    launched(api, &new_pipeline_with(api, config).await).await
}

async fn claim_when_due(api: &Client, job: &str, runner: &str) -> Value {
    eventually("the retry to be due", async || {
        let claimed = api.claim_fencing(job, runner).await;
        if claimed.status == 200 {
            return Some(claimed.json());
        }
        claimed.expect_refusal(409, "not_due");
        None
    })
    .await
}

async fn a_failed_attempt_waits_for_its_time(kind: StoreKind) {
    let store = Store::create(kind).await;
    let (server, clock) = start_with_clock(&store).await;
    let api = server.client();
    let job = new_job_with_retries(&api, &json!({"max_retries": 5})).await;
    let mut claimed = api.claim_fencing(&job, "r").await.expect(200);
    for attempt in 1..=4 {
        assert_eq!(claimed["attempt"], attempt);
        api.holding(&claimed).complete(&job, &failure()).await.expect(204);
        let waiting = api.job(&job).await.expect(200);
        assert_eq!((&waiting["status"], &waiting["attempt"]), (&json!("Queued"), &json!(attempt)));
        assert_eq!(
            (&waiting["phase"], &waiting["waiting"]["reason"]),
            (&json!("backoff"), &json!("backoff"))
        );
        let requeued = &recorded(&api, "job.requeued").await[attempt - 1]["payload"];
        let backoff = micros(&requeued["due_at"]) - micros(&requeued["requeued_at"]);
        let doubled = 1_000_000 << (attempt - 1);
        assert!((doubled..=doubled + doubled / 4).contains(&backoff), "{backoff} after attempt {attempt}");
        clock.advance(Duration::from_micros(backoff.unsigned_abs() - 1));
        assert_eq!(api.scheduled(None).await.expect(200), json!([]));
        api.claim_next("r", 0).await.expect(204);
        api.claim(&job, "r").await.expect_refusal(409, "not_due");
        clock.advance(Duration::from_micros(1));
        claimed = api.claim_fencing(&job, "r").await.expect(200);
    }
    api.holding(&claimed).complete(&job, &success()).await.expect(204);
    let ended = api.job(&job).await.expect(200);
    assert_eq!(
        (&ended["status"], &ended["result"], &ended["attempt"]),
        (&json!("Succeeded"), &success(), &json!(5))
    );
    let (types, events) = history(&api, &job).await;
    assert_eq!(types.iter().filter(|kind| *kind == "job.claimed").count(), 5);
    let requeued: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "job.requeued")
        .map(|event| &event["payload"])
        .collect();
    assert_eq!(requeued.len(), 4);
    for (requeued, attempt) in requeued.iter().zip(1..) {
        assert_eq!((&requeued["attempt"], &requeued["cause"]), (&json!(attempt), &json!("failed")));
        assert_eq!(requeued["result"], failure());
    }
    verify(&api, &store).await;
    server.stop().await;
}

async fn a_deleted_pipeline_has_no_further_attempts(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline_with(&api, &json!({"max_retries": 5})).await;
    let job = launched(&api, &pipeline).await;
    let claimed = api.claim_fencing(&job, "r").await.expect(200);
    api.delete(&format!("/api/pipeline/{pipeline}")).await.expect(204);
    api.holding(&claimed).complete(&job, &failure()).await.expect(204);
    let ended = api.job(&job).await.expect(200);
    assert_eq!((&ended["status"], &ended["result"]), (&json!("Failed"), &failure()));
}

async fn the_report_of_an_earlier_attempt_may_be_repeated(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_job_with_retries(&api, &json!({"max_retries": 1})).await;
    let first = api.claim_fencing(&job, "r").await.expect(200);
    let holder = api.holding(&first);
    holder.complete(&job, &failure()).await.expect(204);
    holder.complete(&job, &failure()).await.expect(204);
    let second = claim_when_due(&api, &job, "s").await;
    holder.complete(&job, &failure()).await.expect(204);
    for _ in 0..2 {
        holder.complete(&job, &success()).await.expect_refusal(409, "lease_lost");
    }
    let (types, _) = history(&api, &job).await;
    assert_eq!(types.iter().filter(|kind| *kind == "job.report_refused").count(), 1, "{types:?}");
    holder.append_logs(&job, &json!([entry("late")])).await.expect_refusal(409, "lease_lost");
    assert_eq!(api.job(&job).await.expect(200)["attempt"], 2);
    api.holding(&second).complete(&job, &failure()).await.expect(204);
    assert_eq!(api.job(&job).await.expect(200)["status"], "Failed");
}

async fn an_attempt_that_ran_too_long_is_tried_again(kind: StoreKind) {
    let store = Store::create(kind).await;
    let (server, clock) = start_with_clock(&store).await;
    let api = server.client();
    let job = new_job_with_retries(&api, &json!({"max_retries": 1, "timeout_seconds": 5})).await;
    let first = api.claim_fencing(&job, "r").await.expect(200);
    let holder = api.holding(&first);
    holder.set_status(&job, "Running").await.expect(204);
    clock.advance(Duration::from_secs(4));
    throughout(Duration::from_secs(1), async || {
        assert_eq!(api.job(&job).await.expect(200)["phase"], "started");
    })
    .await;
    clock.advance(Duration::from_secs(2));
    until_shown(&api, &format!("/api/jobs/{job}"), "phase", "backoff").await;
    holder.complete(&job, &success()).await.expect_refusal(409, "lease_lost");
    let (_, events) = history(&api, &job).await;
    let requeued = events.iter().find(|event| event["type"] == "job.requeued").expect("it is tried again");
    assert_eq!(requeued["payload"]["cause"], "run_timeout");
    assert!(events.iter().any(|event| event["type"] == "job.report_refused"));
    clock.advance(Duration::from_secs(2));
    api.claim_fencing(&job, "s").await.expect(200);
    clock.advance(Duration::from_secs(6));
    let ended = until_ended(&api, &job).await;
    assert_eq!((&ended["status"], &ended["attempt"]), (&json!("TimedOut"), &json!(2)));
    server.stop().await;
}
