//! A GET reflects every command that its server acknowledged before (I9).

use futures_util::future::join_all;
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{id, ids, new_pipeline, success};
use rivet_tests::server::{Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use serde_json::json;

const CONNECTIONS: usize = 16;
const PAIRS: usize = 1_000;

on_both_stores! { a_get_sees_what_was_acknowledged_before }

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
