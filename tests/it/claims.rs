//! Concurrent claims: exactly one wins, whatever is between the runners and the log.

use futures_util::future::join_all;
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{launched, new_demanding_pipeline, new_job, new_pipeline};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use serde_json::json;

const JOBS: usize = 50;
const CLAIMS: usize = 64;

on_both_stores! {
    one_of_many_racing_claims_wins,
    a_claim_is_replayed_under_its_key,
    a_key_that_is_empty_or_too_long_is_refused,
    a_runner_must_cover_the_demands,
}

async fn one_of_many_racing_claims_wins(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    race(&[app.client()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_racing_claims_wins_across_replicas() {
    let replicas = Replicas::start(&[]).await;
    race(&replicas.clients()).await;
}

async fn race(replicas: &[Client]) {
    let pipeline = new_pipeline(&replicas[0]).await;
    for _ in 0..JOBS {
        let job = launched(&replicas[0], &pipeline).await;
        let claims = (0..CLAIMS).map(|runner| {
            let (replica, job) = (&replicas[runner % replicas.len()], &job);
            async move { (runner, replica.claim(job, &format!("r{runner}")).await) }
        });
        let mut winner = None;
        for (runner, answer) in join_all(claims).await {
            if answer.status == 200 {
                assert_eq!(winner.replace((runner, answer.position())), None, "two runners hold {job}");
            } else {
                answer.expect_refusal(409, "already_claimed");
            }
        }
        let (winner, position) = winner.expect("somebody wins");
        let reader = replicas[0].with("rivet-min-position", &position.to_string());
        assert_eq!(reader.job(&job).await.expect(200)["runner_id"], format!("r{winner}"));
    }
}

async fn a_claim_is_replayed_under_its_key(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_job(&api).await;
    let keyed = api.with("rivet-request-key", "k1");
    let first = keyed.claim(&job, "r").await.expect(200);
    assert_eq!(keyed.claim(&job, "r").await.expect(200), first);
    keyed.claim(&job, "s").await.expect_refusal(409, "already_claimed");
    api.claim(&job, "r").await.expect_refusal(409, "already_claimed");
}

async fn a_key_that_is_empty_or_too_long_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_job(&api).await;
    for key in [String::new(), "k".repeat(256)] {
        let keyed = api.with("rivet-request-key", &key);
        keyed.claim(&job, "r").await.expect_refusal(400, "invalid_header");
        keyed.claim_next("r", 0).await.expect_refusal(400, "invalid_header");
    }
    api.with("rivet-request-key", &"k".repeat(255)).claim_next("r", 0).await.expect(200);
}

async fn a_runner_must_cover_the_demands(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_demanding_pipeline(&api, &["docker", "gpu"]).await;
    let job = launched(&api, &pipeline).await;
    api.register("none", &[]).await.expect(200);
    api.register("some", &["docker"]).await.expect(200);
    for runner in ["none", "some"] {
        assert_eq!(api.scheduled(Some(runner)).await.expect(200), json!([]));
        api.claim(&job, runner).await.expect_refusal(409, "capability_missing");
        api.claim_next(runner, 0).await.expect(204);
    }
    let waiting = api.job(&job).await.expect(200)["waiting"].clone();
    assert_eq!(waiting["reason"], "no_runner");
    api.register("all", &["docker", "gpu", "linux"]).await.expect(200);
    api.claim(&job, "all").await.expect(200);
}
