//! A full disk stops writes, and nothing else: what was acknowledged stays, and with room again writing goes on.
//!
//! The disk is made full by a limit on the size of the server's files, which Linux lets another process move.

use std::fs;
use std::process::Command;

use reqwest::Method;
use rivet_tests::client::{Answer, Client};
use rivet_tests::sample::{entry, id, launched, new_claimed_job, new_pipeline, success};
use rivet_tests::server::{Server, program};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::{list, verify};
use rivet_tests::wait::eventually;
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::json;

/// What the disk still takes: some writes succeed before it is full.
const ROOM: u64 = 256 * 1024;
/// Writes that are tried while it is full.
const WRITES_WHEN_FULL: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_writes_and_loses_nothing() {
    let store = Store::create(StoreKind::Sqlite).await;
    let server = Server::start(&store, &["--read-wait", "50ms"]).await;
    let api = server.client();
    let pipeline = new_pipeline(&api).await;
    let claimed = new_claimed_job(&api, "r").await;

    until_rows_are_stored(&api).await;
    limit(&server, Some(largest_file(&store) + ROOM));
    let mut keys = 0;
    let mut acknowledged = Vec::new();
    let refusal = loop {
        let answer = launch(&api, &pipeline, keys).await;
        keys += 1;
        if answer.status != 200 {
            break answer;
        }
        acknowledged.push(id(&answer.json()));
    };
    refusal.expect_refusal(503, "unavailable");
    assert!(refusal.header("retry-after").is_some());
    let last = acknowledged.last().expect("some room");
    // What is left of the room may be enough for less.
    while api.append_logs(&claimed, &json!([entry("fill")])).await.status == 201 {}
    for _ in 0..WRITES_WHEN_FULL {
        launch(&api, &pipeline, keys).await.expect_refusal(503, "unavailable");
        keys += 1;
        api.append_logs(&claimed, &json!([entry("lost")])).await.expect_refusal(503, "unavailable");
        api.complete(&claimed, &success()).await.expect_refusal(503, "unavailable");
        api.get("/api/health").await.expect(200);
        // Reads go on with what there is, and deny nothing that may not be in it: what is folded, and not stored, is folded
        // again after each try.
        assert_eq!(api.job(&claimed).await.expect(200)["status"], "Running");
        assert!(matches!(api.job(last).await.status, 200 | 503));
    }

    limit(&server, None);
    eventually("a write with room again", async || {
        (api.complete(&claimed, &success()).await.status == 204).then_some(())
    })
    .await;
    until_reads_are_fresh(&api, &claimed).await;
    for job in &acknowledged {
        assert_eq!(api.job(job).await.expect(200)["status"], "Queued");
    }
    // Repeated under its key, a launch that was refused is there once, whether or not it had been recorded.
    for key in 0..keys {
        launch(&api, &pipeline, key).await.expect(200);
    }
    until_reads_are_fresh(&api, &claimed).await;
    assert_eq!(list(&api, "/api/jobs").await.len(), keys + 1);
    launched(&api, &pipeline).await;
    until_reads_are_fresh(&api, &claimed).await;
    verify(&api, &store).await;
    assert!(server.terminate().await.success());
    let verified = Command::new(program()).args(["verify", "--database-url", store.url()]).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

/// Waits until what was acknowledged is in the read models, in the light of some job: reads do not wait for long here.
/// What is folded and not stored is forgotten when it cannot be stored, and so would be what a read told before.
async fn until_rows_are_stored(api: &Client) {
    eventually("stored rows", async || {
        let read_models = api.get("/api/projections").await.expect(200);
        read_models.as_array().unwrap().iter().all(|one| one["lag_events"] == 0).then_some(())
    })
    .await;
}

async fn until_reads_are_fresh(api: &Client, job: &str) {
    eventually("fresh reads", async || {
        let read = api.job(job).await;
        (read.status == 200 && read.header("rivet-stale").is_none()).then_some(())
    })
    .await;
}

fn limit(server: &Server, bytes: Option<u64>) {
    prlimit(Some(server.pid()), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

fn largest_file(store: &Store) -> u64 {
    let file = store.url().strip_prefix("sqlite://").unwrap();
    let sizes = [file.to_owned(), format!("{file}-wal")].map(|file| fs::metadata(file).unwrap().len());
    sizes.into_iter().max().unwrap()
}

/// A launch of some kilobytes, under a key of its own.
async fn launch(api: &Client, pipeline: &str, key: usize) -> Answer {
    let body = json!({"pipeline_id": pipeline, "parameters": {"text": "0123456789abcdef".repeat(256)}});
    let request = api.request(Method::POST, "/api/pipeline/launch");
    api.send(request.header("idempotency-key", format!("key-{key}")).json(&body)).await
}
