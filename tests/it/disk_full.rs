//! A full disk stops writes, and nothing else: what was acknowledged stays, and writes succeed again once there is
//! room.
//!
//! The disk is simulated by a limit on the size of the server's files, which Linux lets another process change.

use std::fs;
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use rivet_tests::client::{Answer, Client};
use rivet_tests::program;
use rivet_tests::receiver::{Received, Receiver};
use rivet_tests::sample::{WEBHOOK_SECRET, entry, id, launched, new_claimed_job, new_pipeline, success};
use rivet_tests::server::Server;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::{list, verify};
use rivet_tests::wait::{eventually, let_pass};
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::json;

/// Bytes left on the disk: some writes succeed before it is full.
const ROOM: u64 = 256 * 1024;
/// Number of writes that are tried while the disk is full.
const WRITES_WHEN_FULL: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_writes_and_loses_nothing() {
    let store = Store::create(StoreKind::Sqlite).await;
    let server = Server::start(&store, &["--read-wait", "50ms", "--allow-private-webhooks"]).await;
    let api = server.client();
    let receiver = Receiver::start().await;
    receiver.answer_always(Some("500 Not Yet"));
    let webhook = json!({"url": receiver.url("/"), "secret": WEBHOOK_SECRET});
    api.post("/api/webhooks", &webhook).await.expect(201);
    let pipeline = new_pipeline(&api).await;
    let claimed = new_claimed_job(&api, "r").await;

    until_rows_are_stored(&api).await;
    let full = largest_file(&store) + ROOM;
    limit(&server, Some(full));
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
    // The room that is left may be enough for smaller writes. The same batch again would not be one.
    for n in 0.. {
        if api.append_logs(&claimed, &json!([entry(&format!("fill {n}"))])).await.status != 201 {
            break;
        }
    }
    for _ in 0..WRITES_WHEN_FULL {
        launch(&api, &pipeline, keys).await.expect_refusal(503, "unavailable");
        keys += 1;
        api.append_logs(&claimed, &json!([entry("lost")])).await.expect_refusal(503, "unavailable");
        api.complete(&claimed, &success()).await.expect_refusal(503, "unavailable");
        api.get("/api/health").await.expect(200);
        // Reads go on with what there is, and do not answer 404 for a job that may be missing only from the read
        // models: rows that could not be stored are folded again after each try.
        assert_eq!(api.job(&claimed).await.expect(200)["status"], "Running");
        assert!(matches!(api.job(last).await.status, 200 | 503));
    }
    assert!(events_can_be_listed(&store, full));
    assert_webhooks_go_on(&receiver, acknowledged.len()).await;

    limit(&server, None);
    eventually("a write with room again", async || {
        (api.complete(&claimed, &success()).await.status == 204).then_some(())
    })
    .await;
    until_reads_are_fresh(&api, &claimed).await;
    for job in &acknowledged {
        assert_eq!(api.job(job).await.expect(200)["status"], "Queued");
    }
    // A refused launch that is repeated under its key gives one job, whether or not the first try was recorded.
    for key in 0..keys {
        launch(&api, &pipeline, key).await.expect(200);
    }
    until_reads_are_fresh(&api, &claimed).await;
    assert_eq!(list(&api, "/api/jobs").await.len(), keys + 1);
    launched(&api, &pipeline).await;
    until_reads_are_fresh(&api, &claimed).await;
    verify(&api, &store).await;
    // The server has recovered by itself: nothing that it logged asks somebody to act.
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    assert!(server.terminate().await.success());
    let verified =
        Command::new(program::path()).args(["verify", "--database-url", store.url()]).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

/// Asserts that what was delivered and cannot be saved as delivered is not delivered again and again, also after the
/// receiver said that it is gone, for which the webhook cannot be paused.
async fn assert_webhooks_go_on(receiver: &Receiver, events: usize) {
    receiver.answer_next(["204 No Content", "204 No Content", "410 Gone"]);
    receiver.answer_always(None);
    let taken = |all: &[Received]| -> Vec<u64> {
        all.iter().filter(|delivery| delivery.status == 204).map(Received::position).collect()
    };
    receiver.eventually("deliveries", |all| (taken(all).len() > events).then_some(())).await;
    let_pass(Duration::from_secs(5)).await;
    let all = receiver.received();
    assert!(all.iter().any(|delivery| delivery.status == 410));
    assert!(taken(&all).is_sorted_by(|one, next| one < next), "{:?}", taken(&all));
}

/// Waits until the read models have stored everything that was acknowledged; in this test, reads hardly wait
/// themselves. Rows that cannot be stored are dropped and folded again, and an earlier read may have answered from
/// them.
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

/// Whether a program that starts while the disk is full can read the log.
fn events_can_be_listed(store: &Store, bytes: u64) -> bool {
    // In units of 512 bytes.
    let limited = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", bytes / 512);
    let listing = ["events", "list", "--limit", "1", "--database-url", store.url()];
    let output =
        Command::new("sh").args(["-c", &limited, "sh"]).arg(program::path()).args(listing).output().unwrap();
    output.status.success() && !output.stdout.is_empty()
}

fn largest_file(store: &Store) -> u64 {
    let file = store.url().strip_prefix("sqlite://").unwrap();
    let sizes = [file.to_owned(), format!("{file}-wal")].map(|file| fs::metadata(file).unwrap().len());
    sizes.into_iter().max().unwrap()
}

/// A launch of some kilobytes, under its own key.
async fn launch(api: &Client, pipeline: &str, key: usize) -> Answer {
    let body = json!({"pipeline_id": pipeline, "parameters": {"text": "0123456789abcdef".repeat(256)}});
    let request = api.request(Method::POST, "/api/pipeline/launch");
    api.send(request.header("idempotency-key", format!("key-{key}")).json(&body)).await
}
