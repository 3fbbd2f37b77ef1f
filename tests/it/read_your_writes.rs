//! A GET reflects every command that its server acknowledged before (I9).

mod command_line;
mod repeated;

use futures_util::future::join_all;
use reqwest::Method;
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{UNKNOWN, entry, id, ids, launched, messages, new_job, new_pipeline, success};
use rivet_tests::server::{Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::head;
use rivet_tests::wait::eventually;
use serde_json::json;
use sqlx::Connection;

const CONNECTIONS: usize = 16;
const PAIRS: usize = 1_000;

on_both_stores! {
    a_get_sees_what_was_acknowledged_before,
    what_may_have_been_launched_meanwhile_is_not_denied,
    what_needs_no_read_model_does_not_wait_for_them,
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

/// Launches, claims and completes jobs, and reads each back at once; returns the number of pairs of a write and a
/// read.
async fn write_and_read(api: Client, pipeline: &str) -> usize {
    let mut pairs = 0;
    let mut assert_status = async |job: &str, expected: &str| {
        // A HEAD waits in the same way as a GET.
        let looked_at = api.send(api.request(Method::HEAD, &format!("/api/jobs/{job}"))).await;
        assert_eq!((looked_at.status, looked_at.header("rivet-stale")), (200, None));
        let read = api.job(job).await;
        assert_eq!(read.expect(200)["status"], expected);
        assert_eq!(read.header("rivet-stale"), None);
        pairs += 1;
    };
    for _ in 0..PAIRS.div_ceil(CONNECTIONS * 3) {
        let job = launched(&api, pipeline).await;
        assert_status(&job, "Queued").await;
        let listed = api.get(&format!("/api/jobs?limit={PAIRS}")).await;
        assert!(ids(&listed.expect(200)).contains(&job));
        api.claim(&job, "r").await.expect(200);
        assert_status(&job, "Running").await;
        api.complete(&job, &success()).await.expect(204);
        assert_status(&job, "Succeeded").await;
    }
    pairs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_replica_is_asked_for_a_position() {
    let replicas = Replicas::start(&[]).await;
    let [writer, reader] = replicas.clients();
    let pipeline = new_pipeline(&writer).await;
    for _ in 0..50 {
        let launched = writer.launch(&pipeline, &json!({})).await;
        let job = id(&launched.expect(200));
        let read = reader.with("rivet-min-position", &launched.position()).get("/api/jobs?limit=1").await;
        assert_eq!(ids(&read.expect(200)), [job]);
        assert_eq!(read.header("rivet-stale"), None);
    }
}

/// Runners register once, and may not try again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_is_answered_although_the_read_models_are_behind() {
    let store = Store::create(StoreKind::Postgres).await;
    let (leader, other) =
        (Server::start(&store, &[]).await, Server::start(&store, &["--read-wait", "50ms"]).await);
    let api = other.client();
    let known = api.register("known", &["docker"]).await.expect(200);
    leader.freeze();
    for (runner, capabilities) in [("new", &["docker"][..]), ("known", &["gpu", "os=linux"])] {
        let registered = api.register(runner, capabilities).await.expect(200);
        assert_eq!((&registered["id"], &registered["status"]), (&json!(runner), &json!("Online")));
        assert_eq!(registered["capabilities"], json!(capabilities));
    }
    leader.thaw();
    let shown = api.register("known", &["gpu", "os=linux"]).await.expect(200);
    assert_eq!(shown["registered_at"], known["registered_at"]);
}

/// A job and its log are answered as soon as their events are folded; other queries once the database has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_told_before_it_is_stored() {
    let store = Store::create(StoreKind::Postgres).await;
    let server = Server::start(&store, &["--read-wait", "2s"]).await;
    let api = server.client();
    let pipeline = new_pipeline(&api).await;
    let first = launched(&api, &pipeline).await;
    api.claim(&first, "r").await.expect(200);
    api.append_logs(&first, &json!([entry("a"), entry("b")])).await.expect(201);
    // The list waits for the database, and so makes the projector store the log as well.
    eventually("the first job to be listed", async || {
        (ids(&api.get("/api/jobs").await.expect(200)) == [first.as_str()]).then_some(())
    })
    .await;

    let mut holder = sqlx::PgConnection::connect(store.url()).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::query("lock table checkpoints in exclusive mode").execute(&mut *held).await.unwrap();
    let second = launched(&api, &pipeline).await;
    api.claim(&second, "r").await.expect(200);
    for (job, log) in [(&first, ["a", "b", "c"].as_slice()), (&second, &["c"])] {
        api.append_logs(job, &json!([entry("c")])).await.expect(201);
        api.complete(job, &success()).await.expect(204);
        let read = api.job(job).await;
        assert_eq!(read.expect(200)["status"], "Succeeded");
        assert_eq!(read.header("rivet-stale"), None);
        for (query, expected) in [("", log), ("?tail=1", &["c"]), ("?limit=1", &log[..1])] {
            let read = api.get(&format!("/api/jobs/{job}/logs{query}")).await;
            assert_eq!(messages(&read.expect(200)), expected);
            assert_eq!(read.header("rivet-stale"), None);
        }
    }
    let now = format!("/api/jobs?at={}", head(&api).await);
    let (listed, then) = tokio::join!(api.get("/api/jobs"), api.get(&now));
    assert_eq!((ids(&listed.expect(200)), listed.header("rivet-stale")), (vec![first.clone()], Some("true")));
    then.expect_refusal(503, "behind");

    held.rollback().await.unwrap();
    eventually("the list to be fresh", async || {
        let listed = api.get("/api/jobs?status=Succeeded").await;
        (ids(&listed.expect(200)) == [second.as_str(), first.as_str()]).then_some(())
    })
    .await;
}

/// Read models that are behind show what they have, and do not say that anything else does not exist.
async fn what_may_have_been_launched_meanwhile_is_not_denied(kind: StoreKind) {
    let app = TestApp::start_with(kind, &["--read-wait", "50ms"]).await;
    let api = app.client();
    let job = new_job(&api).await;
    // A read that has waited in vain is answered from the database, and so is every list.
    eventually("the job to be stored", async || {
        (ids(&api.get("/api/jobs").await.expect(200)) == [job.as_str()]).then_some(())
    })
    .await;
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

async fn what_needs_no_read_model_does_not_wait_for_them(kind: StoreKind) {
    let app = TestApp::start_with(kind, &["--read-wait", "50ms"]).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let job = id(&api.launch(&pipeline, &json!({})).await.expect(200));
    let ahead = api.with("rivet-min-position", &1_000_000);
    let found = [
        format!("/api/jobs/{job}/events"),
        format!("/api/pipeline/{pipeline}/versions"),
        format!("/api/pipeline/{pipeline}/versions/1"),
        format!("/api/pipeline/{pipeline}/diff"),
        "/api/stubs".to_owned(),
        "/api/stubs/log.lua".to_owned(),
    ];
    for path in found {
        let read = ahead.get(&path).await;
        assert_eq!((read.status, read.header("rivet-stale")), (200, None), "{path}");
    }
    ahead.history(UNKNOWN).await.expect_refusal(404, "job_not_found");
    ahead.get(&format!("/api/pipeline/{UNKNOWN}/versions")).await.expect_refusal(404, "pipeline_not_found");
    ahead.get("/api/stubs/none.lua").await.expect_refusal(404, "stub_not_found");
}
