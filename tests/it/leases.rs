//! Leases: any contact renews a lease, silence ends it, and a runner that lost its lease cannot change anything.

use std::time::Duration;

use futures_util::future::join4;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{
    assert_lost, entry, failure, history, launched, new_job, new_pipeline_with, success,
};
use rivet_tests::server::{SWEEP_OFTEN, Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::wait::{eventually, throughout, until_ended, until_job_is, while_alive};
use serde_json::{Value, json};

on_both_stores! {
    a_silent_holder_loses_its_job_and_its_say,
    any_contact_keeps_a_job,
    an_end_that_was_acknowledged_ends_the_lease,
    a_lost_holder_that_cannot_fence_fails_its_job,
    a_heartbeat_with_its_lease_makes_a_holder_one_that_fences,
    a_holder_that_has_shown_its_lease_before_its_start_is_lost_as_one_that_fences,
    after_an_unfenced_loss_only_fencing_runners_may_follow,
    a_job_that_needs_fencing_waits_for_a_runner_that_fences,
    a_pipeline_may_let_anybody_follow_a_lost_runner,
    a_job_that_kills_its_runners_ends,
    a_claim_without_a_start_goes_back,
    a_claim_without_a_start_of_a_holder_that_cannot_fence_is_lost,
    a_holder_that_fell_silent_while_the_server_was_down_is_lost,
}

const SWEEP: [&str; 3] = [SWEEP_OFTEN, "--startup-grace", "0s"];

async fn start(kind: StoreKind, flags: &[&str]) -> TestApp {
    TestApp::start_with(kind, &[&SWEEP, flags].concat()).await
}

/// The lease ends at once, even if the read models are not stored yet.
async fn an_end_that_was_acknowledged_ends_the_lease(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    for _ in 0..5 {
        let job = new_job(&api).await;
        let holder = api.holding(&api.claim_fencing(&job, "r").await.expect(200));
        holder.heartbeat("r").await.expect(204);
        holder.complete(&job, &success()).await.expect(204);
        holder.heartbeat("r").await.expect_refusal(409, "lease_lost");
    }
}

async fn a_heartbeat_with_its_lease_makes_a_holder_one_that_fences(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_job(&api).await;
    let holder = api.holding(&api.claim(&job, "r").await.expect(200));
    api.set_status(&job, "Running").await.expect(204);
    holder.heartbeat("r").await.expect(204);
    api.complete(&job, &success()).await.expect_refusal(409, "lease_lost");
    holder.complete(&job, &success()).await.expect(204);
}

async fn a_holder_that_has_shown_its_lease_before_its_start_is_lost_as_one_that_fences(kind: StoreKind) {
    let app = start(kind, &["--lease", "1s"]).await;
    let api = app.client();
    let job = new_job(&api).await;
    let holder = api.holding(&api.claim(&job, "r").await.expect(200));
    holder.heartbeat("r").await.expect(204);
    assert_eq!(api.job(&job).await.expect(200)["phase"], "claimed");
    until_job_is(&api, &job, "Queued").await;
    assert_eq!(history(&api, &job).await.0[2..], ["job.lease_shown", "job.lease_expired", "job.requeued"]);
    app.verify().await;
}

async fn a_silent_holder_loses_its_job_and_its_say(kind: StoreKind) {
    let app = start(kind, &["--lease", "6s"]).await;
    let api = app.client();
    let job = new_job(&api).await;
    let first = api.claim_fencing(&job, "r").await.expect(200);
    let holder = api.holding(&first);
    holder.set_status(&job, "Running").await.expect(204);
    holder.append_logs(&job, &json!([entry("in time")])).await.expect(201);
    until_job_is(&api, &job, "Queued").await;
    assert_lost(&holder, "r", &job).await;

    let second = api.claim_fencing(&job, "s").await.expect(200);
    assert_eq!((&first["attempt"], &second["attempt"]), (&json!(1), &json!(2)));
    assert_ne!(first["lease_id"], second["lease_id"]);
    while_alive(&api, "s", async {
        assert_lost(&holder, "r", &job).await;
        // A report without a lease is refused when the holder fences.
        api.complete(&job, &failure()).await.expect_refusal(409, "lease_lost");
        let job_now = api.job(&job).await.expect(200);
        assert_eq!((&job_now["status"], &job_now["result"]), (&json!("Running"), &Value::Null));
        api.holding(&second).complete(&job, &success()).await.expect(204);
    })
    .await;

    assert_lost(&holder, "r", &job).await;
    let job_now = api.job(&job).await.expect(200);
    assert_eq!((&job_now["status"], &job_now["result"]), (&json!("Succeeded"), &success()));
    assert_eq!(api.logs(&job).await.expect(200).as_array().map(Vec::len), Some(1));
    let (types, events) = history(&api, &job).await;
    let refused: Vec<&Value> = events.iter().filter(|event| event["type"] == "job.report_refused").collect();
    assert_eq!(refused.len(), 1, "{types:?}");
    assert_eq!(refused[0]["payload"]["lease_id"], first["lease_id"]);
    assert_eq!(refused[0]["payload"]["result"], failure());
    app.verify().await;
}

async fn any_contact_keeps_a_job(kind: StoreKind) {
    let app = start(kind, &["--lease", "8s", "--legacy-lease", "8s"]).await;
    let api = app.client();
    // Longer than the lease.
    let long = Duration::from_secs(10);
    let (beaten, logged, polled) = (new_job(&api).await, new_job(&api).await, new_job(&api).await);
    let gapped = new_job(&api).await;
    let beats = async {
        let claimed = api.claim_fencing(&beaten, "beats").await.expect(200);
        let holder = api.holding(&claimed);
        holder.set_status(&beaten, "Running").await.expect(204);
        throughout(long, async || assert!(holder.heartbeat("beats").await.status < 300)).await;
        holder.complete(&beaten, &success()).await.expect(204);
    };
    let logs = async {
        let claimed = api.claim_fencing(&logged, "logs").await.expect(200);
        let holder = api.holding(&claimed);
        throughout(long, async || {
            holder.append_logs(&logged, &json!([entry("still here")])).await.expect(201);
        })
        .await;
        holder.complete(&logged, &success()).await.expect(204);
    };
    // Polling also counts for a runner that never registered, since its claim registered it.
    let polls = async {
        api.claim(&polled, "polls").await.expect(200);
        throughout(long, async || {
            api.scheduled(Some("polls")).await.expect(200);
        })
        .await;
        api.complete(&polled, &success()).await.expect(204);
    };
    let gaps = async {
        let claimed = api.claim_fencing(&gapped, "gaps").await.expect(200);
        let holder = api.holding(&claimed);
        let ahead = holder.with("rivet-log-offset", "5");
        throughout(long, async || {
            ahead.append_logs(&gapped, &json!([entry("too far")])).await.expect_refusal(416, "log_gap");
        })
        .await;
        holder.complete(&gapped, &success()).await.expect(204);
    };
    join4(beats, logs, polls, gaps).await;
    for job in [beaten, logged, polled, gapped] {
        let job = api.job(&job).await.expect(200);
        assert_eq!((&job["status"], &job["attempt"]), (&json!("Succeeded"), &json!(1)));
    }
}

async fn a_lost_holder_that_cannot_fence_fails_its_job(kind: StoreKind) {
    let app = start(kind, &["--legacy-lease", "5s"]).await;
    let api = app.client();
    let job = new_job(&api).await;
    api.claim(&job, "r").await.expect(200);
    api.set_status(&job, "Running").await.expect(204);
    let ended = until_ended(&api, &job).await;
    assert_eq!((&ended["status"], &ended["reason"]), (&json!("Failed"), &json!("runner_lost")));
    api.complete(&job, &success()).await.expect_refusal(409, "already_completed");
    assert_eq!(api.job(&job).await.expect(200), ended);
}

async fn after_an_unfenced_loss_only_fencing_runners_may_follow(kind: StoreKind) {
    let app = start(kind, &["--legacy-lease", "1s"]).await;
    let api = app.client();
    let pipeline = new_pipeline_with(&api, &json!({"max_retries": 1})).await;
    let job = launched(&api, &pipeline).await;
    api.claim(&job, "r").await.expect(200);
    until_job_is(&api, &job, "Queued").await;
    api.claim(&job, "s").await.expect_refusal(409, "needs_fencing");
    let winner = eventually("the retry to be due", async || {
        api.claim(&job, "s").await.expect_refusal(409, "needs_fencing");
        assert_eq!(api.scheduled(Some("s")).await.expect(200), json!([]));
        let claimed = api.claim_next("t", 200).await;
        (claimed.status == 200).then(|| claimed.json())
    })
    .await;
    assert_eq!(winner["attempt"], 2);
    // A late report of the lost holder is not taken for one of the new holder.
    api.complete(&job, &failure()).await.expect_refusal(409, "lease_lost");
    api.append_logs(&job, &json!([entry("late")])).await.expect_refusal(409, "lease_lost");
    api.holding(&winner).complete(&job, &success()).await.expect(204);
    assert_eq!(api.job(&job).await.expect(200)["status"], "Succeeded");
}

async fn a_job_that_needs_fencing_waits_for_a_runner_that_fences(kind: StoreKind) {
    let app = start(kind, &["--legacy-lease", "1s"]).await;
    let api = app.client();
    let pipeline = new_pipeline_with(&api, &json!({"max_retries": 1})).await;
    let (job, other) = (launched(&api, &pipeline).await, new_job(&api).await);
    api.claim(&job, "r").await.expect(200);
    let waits_for = async |reason: &str| {
        eventually(reason, async || {
            let waiting = api.job(&job).await.expect(200)["waiting"].clone();
            (waiting["reason"] == reason).then_some(waiting)
        })
        .await
    };
    assert_eq!(waits_for("no_runner").await["missing_capabilities"], json!([]));
    let claimed = api.claim_fencing(&other, "s").await.expect(200);
    waits_for("busy").await;
    api.holding(&claimed).complete(&other, &success()).await.expect(204);
    waits_for("no_runner").await;
    assert_eq!(api.claim_next("s", 30_000).await.expect(200)["job_id"], job);
}

async fn a_pipeline_may_let_anybody_follow_a_lost_runner(kind: StoreKind) {
    let app = start(kind, &["--legacy-lease", "1s"]).await;
    let api = app.client();
    let config = json!({"max_retries": 1, "retry_on_runner_lost": true});
    let job = launched(&api, &new_pipeline_with(&api, &config).await).await;
    api.claim(&job, "r").await.expect(200);
    until_job_is(&api, &job, "Queued").await;
    eventually("the retry to be offered to all", async || {
        let offered = api.scheduled(None).await.expect(200);
        offered.as_array().is_some_and(|jobs| jobs.len() == 1).then_some(())
    })
    .await;
    assert_eq!(api.claim(&job, "s").await.expect(200)["attempt"], 2);
}

async fn a_job_that_kills_its_runners_ends(kind: StoreKind) {
    let app = start(kind, &["--lease", "1s", "--max-lost-attempts", "2"]).await;
    let api = app.client();
    let job = new_job(&api).await;
    api.claim_fencing(&job, "r").await.expect(200);
    until_job_is(&api, &job, "Queued").await;
    api.claim_fencing(&job, "s").await.expect(200);
    let ended = until_ended(&api, &job).await;
    assert_eq!((&ended["status"], &ended["reason"]), (&json!("Failed"), &json!("runner_lost")));
    assert_eq!(ended["attempt"], 2);
}

async fn a_claim_without_a_start_goes_back(kind: StoreKind) {
    let app = start(kind, &["--start-timeout", "1s"]).await;
    let api = app.client();
    let job = new_job(&api).await;
    let claimed = api.claim_fencing(&job, "r").await.expect(200);
    let holder = api.holding(&claimed);
    eventually("the job to be queued again", async || {
        // The runner is alive, but does not start the job.
        holder.heartbeat("r").await;
        (api.job(&job).await.expect(200)["status"] == "Queued").then_some(())
    })
    .await;
    let (_, events) = history(&api, &job).await;
    let expired = events.iter().find(|event| event["type"] == "job.lease_expired").expect("it expired");
    assert_eq!(expired["payload"]["cause"], "not_started");
    assert_eq!(api.claim_fencing(&job, "s").await.expect(200)["attempt"], 2);
}

async fn a_claim_without_a_start_of_a_holder_that_cannot_fence_is_lost(kind: StoreKind) {
    let app = start(kind, &["--legacy-start-timeout", "1s"]).await;
    let api = app.client();
    let job = new_job(&api).await;
    api.claim(&job, "r").await.expect(200);
    let ended = while_alive(&api, "r", until_ended(&api, &job)).await;
    assert_eq!((&ended["status"], &ended["reason"]), (&json!("Failed"), &json!("runner_lost")));
}

async fn a_holder_that_fell_silent_while_the_server_was_down_is_lost(kind: StoreKind) {
    let store = Store::create(kind).await;
    let flags = ["--lease", "1s", SWEEP_OFTEN];
    let server = Server::start(&store, &flags).await;
    let api = server.client();
    let job = new_job(&api).await;
    let claimed = api.claim_fencing(&job, "r").await.expect(200);
    server.kill();
    let server = Server::start(&store, &flags).await;
    let api = server.client();
    until_job_is(&api, &job, "Queued").await;
    assert_lost(&api.holding(&claimed), "r", &job).await;
}
