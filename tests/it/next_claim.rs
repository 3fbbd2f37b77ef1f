//! Next-claim: it answers at once or when there is a job, once per request, and to the waiting runners in turn.

mod copies;
mod line;

use std::time::{Duration, Instant};

use futures_util::future::join;
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{
    failure, history, launched, micros, new_demanding_pipeline, new_job, new_pipeline, new_pipeline_with,
    pipeline, success,
};
use rivet_tests::server::{SWEEP_OFTEN, Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::{list, recorded};
use rivet_tests::wait::{eventually, until_counted};
use serde_json::{Value, json};

on_both_stores! {
    a_job_that_waits_is_claimed_at_once,
    a_waiting_runner_is_woken_by_a_launch,
    without_a_job_the_wait_ends_in_time,
    a_claim_that_records_nothing_tells_the_head,
    only_what_a_runner_can_do_is_given_to_it,
    a_runner_that_registers_anew_while_it_waits_is_given_what_it_can_do_now,
    a_retry_is_given_to_who_waits_as_soon_as_it_is_due,
    a_waiting_runner_is_online,
    a_server_that_ends_answers_who_waits,
}

/// Waits until the server has registered a runner that began to wait.
async fn until_it_waits(api: &Client, runner: &str) {
    eventually("the runner to be known", async || {
        (api.get(&format!("/api/runners/{runner}")).await.status == 200).then_some(())
    })
    .await;
}

async fn until_so_many_wait(api: &Client, claims: usize) {
    until_counted(api, "rivet_waiting_claims", claims).await;
}

fn job_of(claimed: &Value) -> String {
    claimed["job_id"].as_str().expect("a claim names its job").to_owned()
}

async fn running(api: &Client) -> usize {
    list(api, "/api/jobs").await.iter().filter(|job| job["status"] == "Running").count()
}

async fn a_job_that_waits_is_claimed_at_once(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    for round in 0..20 {
        let job = launched(&api, &pipeline).await;
        let runner = format!("r{round}");
        let claimed = match round % 3 {
            0 => api.claim_next(&runner, 0).await,
            1 => api.claim_next(&runner, u64::MAX).await,
            _ => api.post("/api/jobs/claim", &json!({"runner_id": runner})).await,
        };
        let claimed = claimed.expect(200);
        assert_eq!((&claimed["job_id"], &claimed["attempt"]), (&json!(job), &json!(1)));
        api.holding(&claimed).complete(&job, &success()).await.expect(204);
    }
}

async fn a_waiting_runner_is_woken_by_a_launch(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let launch = async {
        until_it_waits(&api, "r").await;
        (launched(&api, &pipeline).await, Instant::now())
    };
    let (claimed, (job, at)) = join(api.claim_next("r", 50_000), launch).await;
    assert_eq!(job_of(&claimed.expect(200)), job);
    assert!(at.elapsed() < Duration::from_secs(20), "{:?}", at.elapsed());
}

async fn without_a_job_the_wait_ends_in_time(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let began = Instant::now();
    let answer = api.claim_next("r", 700).await;
    answer.expect(204);
    assert_eq!(answer.text, "");
    let registered = api.get("/api/events?type=runner.registered").await.expect(200)["events"][0].clone();
    assert_eq!(answer.header("rivet-position"), Some(&*registered["position"].to_string()));
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

async fn a_claim_that_records_nothing_tells_the_head(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.register("r", &[]).await.expect(200);
    let created = api.create_pipeline(&pipeline("build")).await;
    let answer = api.claim_next("r", 0).await;
    answer.expect(204);
    assert_eq!(answer.header("rivet-position"), created.header("rivet-position"));
}

async fn only_what_a_runner_can_do_is_given_to_it(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let gpu = new_demanding_pipeline(&api, &["gpu"]).await;
    api.register("plain", &["docker"]).await.expect(200);
    api.register("able", &["docker", "gpu"]).await.expect(200);
    let launch = async {
        let job = launched(&api, &gpu).await;
        api.claim_next("plain", 0).await.expect(204);
        job
    };
    let ((plain, able), job) =
        join(join(api.claim_next("plain", 2_000), api.claim_next("able", 50_000)), launch).await;
    plain.expect(204);
    assert_eq!(job_of(&able.expect(200)), job);
}

async fn a_runner_that_registers_anew_while_it_waits_is_given_what_it_can_do_now(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    register_anew(&app.client(), &app.client()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_registers_anew_at_another_replica_is_given_what_it_can_do_now() {
    let replicas = Replicas::start(&[]).await;
    let [one, other] = replicas.clients();
    register_anew(&one, &other).await;
}

/// Two runners wait at one replica, and register again, perhaps at another one.
async fn register_anew(api: &Client, elsewhere: &Client) {
    let gpu = new_demanding_pipeline(api, &["gpu"]).await;
    api.register("less", &["gpu"]).await.expect(200);
    api.register("more", &[]).await.expect(200);
    let meanwhile = async {
        until_so_many_wait(api, 2).await;
        elsewhere.register("less", &[]).await.expect(200);
        let job = launched(api, &gpu).await;
        elsewhere.register("more", &["gpu"]).await.expect(200);
        job
    };
    let more = async {
        let more = api.claim_next("more", 50_000).await;
        (more, new_job(api).await)
    };
    let waiting = join(api.claim_next("less", 50_000), more);
    let ((less, (more, other_job)), job) = join(waiting, meanwhile).await;
    assert_eq!(job_of(&more.expect(200)), job);
    assert_eq!(job_of(&less.expect(200)), other_job);
}

async fn a_retry_is_given_to_who_waits_as_soon_as_it_is_due(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = launched(&api, &new_pipeline_with(&api, &json!({"max_retries": 2})).await).await;
    for _ in 0..2 {
        let claimed = api.claim_next("r", 50_000).await.expect(200);
        api.holding(&claimed).complete(&job, &failure()).await.expect(204);
    }
    api.claim_next("r", 50_000).await.expect(200);
    let (_, events) = history(&api, &job).await;
    let times = |kind: &str, member: &str| -> Vec<i64> {
        let of_kind = events.iter().filter(|event| event["type"] == kind);
        of_kind.map(|event| micros(&event["payload"][member])).collect()
    };
    let (due, claimed) = (times("job.requeued", "due_at"), times("job.claimed", "claimed_at"));
    let delays: Vec<i64> = claimed[1..].iter().zip(&due).map(|(claimed, due)| claimed - due).collect();
    // The shorter of two delays counts, since a busy machine may be late once.
    assert!(delays.iter().all(|delay| *delay >= 0), "{delays:?}");
    assert!(delays.iter().min() < Some(&200_000), "{delays:?}");
}

async fn a_waiting_runner_is_online(kind: StoreKind) {
    let flags = ["--runner-offline-after", "3s", SWEEP_OFTEN, "--lease", "3s"];
    let app = TestApp::start_with(kind, &flags).await;
    let api = app.client();
    // Longer than the startup grace and the limit together.
    api.claim_next("r", 8_000).await.expect(204);
    assert_eq!(recorded(&api, "runner.lost").await, Vec::<Value>::new());
}

async fn a_server_that_ends_answers_who_waits(kind: StoreKind) {
    let store = Store::create(kind).await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    new_job(&api).await;
    api.claim_next("first", 25_000).await.expect(200);
    let other = api.clone();
    let end = async {
        until_it_waits(&other, "r").await;
        let began = Instant::now();
        (server.terminate().await, began.elapsed())
    };
    let (answer, (status, took)) = join(api.claim_next("r", 50_000), end).await;
    answer.expect(204);
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(40), "{took:?}");
}
