//! A GET reflects every command that its server acknowledged before (I9).

use futures_util::future::join_all;
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{UNKNOWN, id, ids, new_job, new_pipeline, success};
use rivet_tests::server::{Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::wait::eventually;
use serde_json::json;

const CONNECTIONS: usize = 16;
const PAIRS: usize = 1_000;

on_both_stores! {
    a_get_sees_what_was_acknowledged_before,
    what_may_have_been_launched_meanwhile_is_not_denied,
}

async fn a_get_sees_what_was_acknowledged_before(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let writers = (0..CONNECTIONS).map(|_| write_and_read(app.client(), &pipeline));
    let pairs: usize = join_all(writers).await.into_iter().sum();
    assert!(pairs >= PAIRS, "{pairs}");
    app.verify().await;
}

/// Launches, claims and completes jobs, and reads each back at once; how many pairs that were.
async fn write_and_read(api: Client, pipeline: &str) -> usize {
    let mut pairs = 0;
    let mut assert_status = async |job: &str, expected: &str| {
        let read = api.job(job).await;
        assert_eq!(read.expect(200)["status"], expected);
        assert_eq!(read.header("rivet-stale"), None);
        pairs += 1;
    };
    for _ in 0..PAIRS.div_ceil(CONNECTIONS * 3) {
        let job = id(&api.launch(pipeline, &json!({})).await.expect(200));
        assert_status(&job, "Queued").await;
        api.claim(&job, "r").await.expect(200);
        assert_status(&job, "Running").await;
        api.complete(&job, &success()).await.expect(204);
        assert_status(&job, "Succeeded").await;
    }
    pairs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_replica_is_asked_for_a_position() {
    let store = Store::create(StoreKind::Postgres).await;
    let (one, other) = (Server::start(&store, &[]).await, Server::start(&store, &[]).await);
    let (writer, reader) = (one.client(), other.client());
    let pipeline = new_pipeline(&writer).await;
    for _ in 0..50 {
        let launched = writer.launch(&pipeline, &json!({})).await;
        let job = id(&launched.expect(200));
        let read = reader.with("rivet-min-position", &launched.position()).get("/api/jobs?limit=1").await;
        assert_eq!(ids(&read.expect(200)), [job]);
        assert_eq!(read.header("rivet-stale"), None);
    }
}

/// Read models that are behind show what they have, and do not say that there is nothing else.
async fn what_may_have_been_launched_meanwhile_is_not_denied(kind: StoreKind) {
    let app = TestApp::start_with(kind, &["--read-wait", "50ms"]).await;
    let api = app.client();
    let job = new_job(&api).await;
    eventually("the job to be shown", async || (api.job(&job).await.status == 200).then_some(())).await;
    let ahead = api.with("rivet-min-position", &1_000_000);
    for (seen, refused) in [(ahead.job(&job).await, false), (ahead.job(UNKNOWN).await, true)] {
        assert_eq!(seen.header("rivet-stale"), Some("true"));
        if refused {
            seen.expect_refusal(503, "behind");
        } else {
            assert_eq!(seen.expect(200)["id"], job);
        }
    }
    api.job(UNKNOWN).await.expect_refusal(404, "job_not_found");
}
