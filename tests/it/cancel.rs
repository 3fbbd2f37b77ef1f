//! Cancelling: through the holder if it is alive, without it if it is not, and never on a wrong guess.

use std::time::Duration;

use rivet_tests::on_both_stores;
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{
    entry, failure, history, launched, new_claimed_job, new_job, new_pipeline_with, success,
};
use rivet_tests::server::{SWEEP_OFTEN, Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::wait::{eventually, let_pass, throughout, until_job_is, while_alive};
use serde_json::json;

on_both_stores! {
    the_result_of_a_job_that_was_to_stop_is_kept,
    a_silent_holder_is_not_waited_for,
    a_holder_that_falls_silent_is_not_waited_for,
    only_force_ends_the_job_of_a_holder_that_goes_on,
    a_restart_takes_no_holder_for_silent,
    cancelling_renews_no_lease,
    a_cancelled_job_is_not_tried_again,
}

const SWEEP: [&str; 3] = [SWEEP_OFTEN, "--startup-grace", "0s"];

async fn start(kind: StoreKind, flags: &[&str]) -> TestApp {
    TestApp::start_with(kind, &[&SWEEP, flags].concat()).await
}

async fn the_result_of_a_job_that_was_to_stop_is_kept(kind: StoreKind) {
    let app = start(kind, &[]).await;
    let api = app.client();
    let job = new_job(&api).await;
    let claimed = api.claim_fencing(&job, "r").await.expect(200);
    let holder = api.holding(&claimed);
    holder.set_status(&job, "Running").await.expect(204);
    let because = json!({"reason": "superseded"});
    api.post(&format!("/api/jobs/{job}/cancel"), &because).await.expect(204);
    api.cancel(&job).await.expect(204);
    assert_eq!(holder.heartbeat("r").await.header("rivet-cancel"), Some(job.as_str()));
    let logged = holder.append_logs(&job, &json!([entry("too late to stop")])).await;
    assert_eq!((logged.status, logged.header("rivet-cancel")), (201, Some(job.as_str())));
    let stopping = api.job(&job).await.expect(200);
    assert_eq!((&stopping["status"], &stopping["phase"]), (&json!("Running"), &json!("cancelling")));

    holder.complete(&job, &success()).await.expect(204);
    let ended = api.job(&job).await.expect(200);
    assert_eq!((&ended["status"], &ended["result"]), (&json!("Cancelled"), &success()));
    assert_eq!(ended["reason"], "superseded");
    assert_eq!(holder.heartbeat("r").await.header("rivet-cancel"), None);
    holder.complete(&job, &success()).await.expect(204);
    holder.complete(&job, &failure()).await.expect_refusal(409, "already_completed");
    api.cancel(&job).await.expect(204);
    let (types, _) = history(&api, &job).await;
    assert_eq!(types.iter().filter(|kind| *kind == "job.cancel_requested").count(), 1, "{types:?}");
}

async fn a_silent_holder_is_not_waited_for(kind: StoreKind) {
    let app = start(kind, &["--cancel-grace", "1s"]).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let_pass(Duration::from_secs(2)).await;
    api.cancel(&job).await.expect(204);
    until_job_is(&api, &job, "Cancelled").await;
}

async fn a_holder_that_falls_silent_is_not_waited_for(kind: StoreKind) {
    let app = start(kind, &["--cancel-grace", "2s"]).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    api.cancel(&job).await.expect(204);
    until_job_is(&api, &job, "Cancelled").await;
    api.complete(&job, &success()).await.expect_refusal(409, "already_completed");
}

async fn only_force_ends_the_job_of_a_holder_that_goes_on(kind: StoreKind) {
    let app = start(kind, &["--cancel-grace", "5s"]).await;
    let api = app.client();
    let (asked, forced) = (new_claimed_job(&api, "r").await, new_claimed_job(&api, "r").await);
    while_alive(&api, "r", async {
        api.cancel(&asked).await.expect(204);
        api.cancel(&forced).await.expect(204);
        api.force_cancel(&forced).await.expect(204);
        until_job_is(&api, &forced, "Cancelled").await;
        let_pass(Duration::from_secs(2)).await;
        assert_eq!(api.job(&asked).await.expect(200)["phase"], "cancelling");
        // The force comes only with this request, but the grace period counts from the first one.
        api.force_cancel(&asked).await.expect(204);
        until_job_is(&api, &asked, "Cancelled").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_speaks_to_another_replica_is_not_silent() {
    let replicas = Replicas::start(&[&SWEEP[..], &["--cancel-grace", "4s"]].concat()).await;
    let [one, other] = replicas.clients();
    let job = new_claimed_job(&one, "r").await;
    // Longer than the grace period.
    throughout(Duration::from_secs(5), async || assert!(one.heartbeat("r").await.status < 300)).await;
    while_alive(&one, "r", async {
        let position = other.cancel(&job).await.position();
        let told = one.with("rivet-min-position", &position);
        assert_eq!(told.job(&job).await.expect(200)["phase"], "cancelling");
        let_pass(Duration::from_secs(1)).await;
    })
    .await;
    assert_eq!(one.heartbeat("r").await.header("rivet-cancel"), Some(job.as_str()));
    one.complete(&job, &success()).await.expect(204);
    assert_eq!(one.job(&job).await.expect(200)["result"], success());
}

async fn a_restart_takes_no_holder_for_silent(kind: StoreKind) {
    let store = Store::create(kind).await;
    let flags = [SWEEP_OFTEN, "--cancel-grace", "1s"];
    let server = Server::start(&store, &flags).await;
    let job = new_claimed_job(&server.client(), "r").await;
    server.kill();
    let_pass(Duration::from_secs(2)).await;
    let server = Server::start(&store, &flags).await;
    let api = server.client();
    api.cancel(&job).await.expect(204);
    throughout(Duration::from_secs(2), async || {
        assert_eq!(api.job(&job).await.expect(200)["phase"], "cancelling");
    })
    .await;
    assert_eq!(api.heartbeat("r").await.header("rivet-cancel"), Some(job.as_str()));
}

async fn cancelling_renews_no_lease(kind: StoreKind) {
    let app = start(kind, &["--lease", "5s"]).await;
    let api = app.client();
    let job = new_job(&api).await;
    let claimed = api.claim_fencing(&job, "r").await.expect(200);
    eventually("the lease to run out", async || {
        // 204 also if the job is already cancelled.
        api.cancel(&job).await.expect(204);
        (api.job(&job).await.expect(200)["status"] == "Cancelled").then_some(())
    })
    .await;
    api.holding(&claimed).complete(&job, &success()).await.expect_refusal(409, "lease_lost");
}

async fn a_cancelled_job_is_not_tried_again(kind: StoreKind) {
    let app = start(kind, &[]).await;
    let api = app.client();
    let pipeline = new_pipeline_with(&api, &json!({"max_retries": 3})).await;
    let job = launched(&api, &pipeline).await;
    api.claim(&job, "r").await.expect(200);
    api.cancel(&job).await.expect(204);
    api.complete(&job, &failure()).await.expect(204);
    let ended = api.job(&job).await.expect(200);
    assert_eq!((&ended["status"], &ended["result"]), (&json!("Cancelled"), &failure()));
    // A job that waits for its next attempt is not retried either.
    let job = launched(&api, &pipeline).await;
    api.claim(&job, "r").await.expect(200);
    api.complete(&job, &failure()).await.expect(204);
    api.cancel(&job).await.expect(204);
    assert_eq!(api.job(&job).await.expect(200)["status"], "Cancelled");
    api.complete(&job, &failure()).await.expect(204);
}
