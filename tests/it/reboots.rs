//! Boot ids: a runner that comes back as another process loses the jobs that its former one held.

use rivet_events::log::{self, Append, LogSettings, StreamWrite};
use rivet_events::runner::{Capabilities, RunnerEvent, RunnerRegistered};
use rivet_events::{Event, Metadata, StreamId, Version};
use rivet_orchestrator::clock::{Clock, SystemClock};
use rivet_tests::history::unreadable;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{assert_lost, entry, history, new_job};
use rivet_tests::server::{Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use serde_json::json;

on_both_stores! {
    another_boot_id_is_another_process,
    a_process_is_known_by_its_claim_whatever_came_between,
    a_registration_that_was_cut_short_is_finished_by_the_next,
    a_job_that_cannot_be_read_holds_up_no_registration,
}

async fn another_boot_id_is_another_process(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.boot("r", "one").await.expect(200);
    let (fenced, unfenced) = (new_job(&api).await, new_job(&api).await);
    let claimed = api.claim_fencing(&fenced, "r").await.expect(200);
    api.claim(&unfenced, "r").await.expect(200);
    api.boot("r", "one").await.expect(200);
    for job in [&fenced, &unfenced] {
        assert_eq!(api.job(job).await.expect(200)["status"], "Running");
    }
    new_job(&api).await;
    let registered = api.boot("r", "two").await;
    let position = registered.position();
    assert_eq!(registered.expect(200)["status"], "Online");
    // The position by which another replica shows that these jobs are lost.
    let mut last = Vec::new();
    for job in [&fenced, &unfenced] {
        last.push(history(&api, job).await.1.last().unwrap()["position"].as_u64());
    }
    assert_eq!(Some(position), last.into_iter().max().flatten());
    assert_eq!(api.job(&fenced).await.expect(200)["status"], "Queued");
    assert_eq!(api.job(&unfenced).await.expect(200)["reason"], "runner_lost");
    // The former process, if it is still at work, is told by the answers to its logs.
    let told = api.append_logs(&unfenced, &json!([entry("late")])).await;
    assert_eq!((told.status, told.header("rivet-cancel")), (201, Some(&*unfenced)));
    assert_lost(&api.holding(&claimed), "r", &fenced).await;
    let claimed = api.claim_next("r", 30_000).await.expect(200);
    assert_eq!(
        (&claimed["job_id"], &claimed["attempt"]),
        (&json!(fenced), &json!(2)),
        "before the newer job"
    );
}

async fn a_process_is_known_by_its_claim_whatever_came_between(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    for (n, is_removed) in [true, false].into_iter().enumerate() {
        api.boot("r", &format!("{n}, first")).await.expect(200);
        let job = new_job(&api).await;
        api.claim_fencing(&job, "r").await.expect(200);
        if is_removed {
            api.delete("/api/runners/r").await.expect(204);
        } else {
            api.register("r", &[]).await.expect(200);
        }
        assert_eq!(api.job(&job).await.expect(200)["status"], "Running");
        api.boot("r", &format!("{n}, second")).await.expect(200);
        assert_eq!(api.job(&job).await.expect(200)["status"], "Queued");
    }
    app.verify().await;
}

/// The server dies after it recorded the new boot id, and before it ended the leases of the old process.
async fn a_registration_that_was_cut_short_is_finished_by_the_next(kind: StoreKind) {
    let store = Store::create(kind).await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    api.boot("r", "one").await.expect(200);
    let job = new_job(&api).await;
    let claimed = api.claim_fencing(&job, "r").await.expect(200);
    server.kill();

    let registered = RunnerEvent::Registered(RunnerRegistered {
        runner_id: "r".parse().unwrap(),
        capabilities: Capabilities(Some(vec![])),
        boot_id: Some("two".to_owned()),
        registered_at: SystemClock.now(),
    });
    record(&store, StreamId::runner(&"r".parse().unwrap()), Event::Runner(registered)).await;

    let server = Server::start(&store, &[]).await;
    let api = server.client();
    assert_eq!(api.job(&job).await.expect(200)["status"], "Running");
    assert_eq!(api.boot("r", "two").await.expect(200)["status"], "Online");
    assert_eq!(api.job(&job).await.expect(200)["status"], "Queued");
    assert_lost(&api.holding(&claimed), "r", &job).await;
    // Jobs that the new process claims stay its own, even if it repeats its registration.
    assert_eq!(api.claim_fencing(&job, "r").await.expect(200)["attempt"], 2);
    api.boot("r", "two").await.expect(200);
    assert_eq!(api.job(&job).await.expect(200)["status"], "Running");
}

async fn a_job_that_cannot_be_read_holds_up_no_registration(kind: StoreKind) {
    let store = Store::create(kind).await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    api.boot("r", "one").await.expect(200);
    let (broken, job) = (new_job(&api).await, new_job(&api).await);
    for job in [&broken, &job] {
        api.claim_fencing(job, "r").await.expect(200);
    }
    server.kill();
    record(&store, StreamId::job(broken.parse().unwrap()), unreadable("job.teleported")).await;

    let server = Server::start(&store, &[]).await;
    let api = server.client();
    api.boot("r", "two").await.expect(200);
    assert_eq!(api.job(&job).await.expect(200)["status"], "Queued");
}

/// Appends an event to the log while the server is down.
async fn record(store: &Store, stream: StreamId, event: Event) {
    let database = store.open().await;
    let log = log::open(&database, LogSettings::default()).await.unwrap();
    let before = log.read_stream(&stream, Version::default()).await.unwrap();
    let expected = before.last().map(|envelope| envelope.sequence).unwrap_or_default();
    let writes = vec![StreamWrite { stream, expected, events: vec![event] }];
    log.append(Append { writes, metadata: Metadata::default(), recorded_at: SystemClock.now() })
        .await
        .unwrap();
    log.close().await;
    database.close().await;
}
