//! Next-claim: it answers at once or when there is a job, once per request, and to the waiting runners in turn.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use reqwest::Method;
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{
    failure, history, id, launched, micros, new_demanding_pipeline, new_job, new_pipeline, new_pipeline_with,
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
    a_wait_may_be_any_number,
    only_what_a_runner_can_do_is_given_to_it,
    a_runner_that_registers_anew_while_it_waits_is_given_what_it_can_do_now,
    a_retry_is_given_to_who_waits_as_soon_as_it_is_due,
    one_request_gets_one_job,
    a_repeated_request_that_finds_no_further_job_gets_the_first_answer,
    a_request_whose_lease_is_over_gets_nothing_more_under_its_key,
    the_last_copy_of_a_request_speaks_for_all,
    each_job_goes_to_one_of_many_waiting_runners,
    who_waits_longest_is_served_first,
    a_wait_that_ends_loses_no_job,
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
        let claimed = if round % 2 == 0 {
            api.claim_next(&runner, 0).await
        } else {
            api.post("/api/jobs/claim", &json!({"runner_id": runner})).await
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

async fn a_wait_may_be_any_number(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_job(&api).await;
    let claim = r#"{"runner_id": "r", "wait_ms": 18446744073709551616}"#;
    let claimed = api.send_raw(Method::POST, "/api/jobs/claim", "application/json", claim).await.expect(200);
    assert_eq!(job_of(&claimed), job);
    api.get("/api/events?wait_ms=18446744073709551616").await.expect(200);
    for wait in [json!(-1), json!(0.5), json!("0")] {
        let claim = json!({"runner_id": "r", "wait_ms": wait});
        api.post("/api/jobs/claim", &claim).await.expect_refusal(422, "invalid_body");
    }
    api.get("/api/events?wait_ms=-1").await.expect_refusal(400, "invalid_query");
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
    let waiting = join(api.claim_next("less", 10_000), api.claim_next("more", 50_000));
    let ((less, more), job) = join(waiting, meanwhile).await;
    less.expect(204);
    assert_eq!(job_of(&more.expect(200)), job);
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

async fn one_request_gets_one_job(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    for round in 0..5 {
        for _ in 0..4 {
            launched(&api, &pipeline).await;
        }
        let before = running(&api).await;
        let keyed = api.with("rivet-request-key", &format!("key-{round}"));
        let answers = join_all((0..8).map(|_| keyed.claim_next("r", 30_000))).await;
        let first = answers[0].expect(200);
        for answer in &answers {
            assert_eq!(answer.expect(200), first);
            assert_eq!(answer.position(), answers[0].position());
        }
        assert_eq!(running(&api).await, before + 1);
        // The same request gets the same answer again, although more jobs wait; another key is another request.
        assert_eq!(keyed.claim_next("r", 0).await.expect(200), first);
        let other = api.with("rivet-request-key", &format!("other-{round}")).claim_next("r", 30_000).await;
        assert_ne!(other.expect(200)["job_id"], first["job_id"]);
        // A key belongs to its runner.
        assert_ne!(keyed.claim_next("s", 30_000).await.expect(200)["job_id"], first["job_id"]);
    }
}

async fn a_repeated_request_that_finds_no_further_job_gets_the_first_answer(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let keyed = api.with("rivet-request-key", "once");
    let launch = async {
        until_it_waits(&api, "r").await;
        launched(&api, &pipeline).await
    };
    let (answers, job) = join(join_all((0..8).map(|_| keyed.claim_next("r", 12_000))), launch).await;
    let first = answers[0].expect(200);
    assert_eq!(job_of(&first), job);
    for answer in answers {
        assert_eq!(answer.expect(200), first);
    }
}

async fn a_request_whose_lease_is_over_gets_nothing_more_under_its_key(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let job = launched(&api, &pipeline).await;
    let keyed = api.with("rivet-request-key", "once");
    let claimed = keyed.claim_next("r", 12_000).await.expect(200);
    api.holding(&claimed).complete(&job, &success()).await.expect(204);
    let next = launched(&api, &pipeline).await;
    for _ in 0..2 {
        keyed.claim_next("r", 0).await.expect_refusal(409, "lease_lost");
    }
    assert_eq!(
        job_of(&api.with("rivet-request-key", "another").claim_next("r", 12_000).await.expect(200)),
        next
    );
}

/// A runner that drains repeats its request once more, without waiting. After that answer, the long poll must win
/// nothing.
async fn the_last_copy_of_a_request_speaks_for_all(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    for round in 0..5 {
        let keyed = api.with("rivet-request-key", &format!("key-{round}"));
        let last_word = async {
            until_so_many_wait(&api, 1).await;
            keyed.claim_next("r", 0).await.expect(204);
            let job = launched(&api, &pipeline).await;
            let began = Instant::now();
            assert_eq!(job_of(&api.claim_next("s", 25_000).await.expect(200)), job);
            began.elapsed()
        };
        let (long_poll, took) = join(keyed.claim_next("r", 25_000), last_word).await;
        long_poll.expect(204);
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
}

async fn each_job_goes_to_one_of_many_waiting_runners(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    serve_many(&[app.client()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_job_goes_to_one_of_many_runners_that_wait_at_two_replicas() {
    let replicas = Replicas::start(&[]).await;
    serve_many(&replicas.clients()).await;
}

/// Twenty runners wait and twelve jobs come: each job is claimed once, and the other runners wait until theirs come.
async fn serve_many(replicas: &[Client]) {
    let api = &replicas[0];
    let pipeline = new_pipeline(api).await;
    let waiting = (0..20).map(|n| {
        let replica = &replicas[n % replicas.len()];
        async move { replica.claim_next(&format!("r{n}"), 50_000).await }
    });
    let launch = async {
        for n in 0..20 {
            until_it_waits(api, &format!("r{n}")).await;
        }
        let mut jobs: BTreeSet<String> =
            join_all((0..12).map(|_| launched(api, &pipeline))).await.into_iter().collect();
        eventually("twelve to be served", async || (running(api).await == 12).then_some(())).await;
        for n in 0..8 {
            jobs.insert(launched(&replicas[n % replicas.len()], &pipeline).await);
        }
        jobs
    };
    let (answers, jobs) = join(join_all(waiting), launch).await;
    let claimed: Vec<String> = answers.iter().map(|answer| job_of(&answer.expect(200))).collect();
    assert_eq!(claimed.len(), jobs.len());
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), jobs);
}

async fn who_waits_longest_is_served_first(kind: StoreKind) {
    const RUNNERS: usize = 10;
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let served = RefCell::new(Vec::new());
    let runners = (0..RUNNERS).map(|n| {
        let (api, served) = (&api, &served);
        async move {
            until_so_many_wait(api, n).await;
            api.claim_next(&format!("r{n}"), 50_000).await.expect(200);
            served.borrow_mut().push(n);
        }
    });
    let launches = async {
        until_so_many_wait(&api, RUNNERS).await;
        for n in 0..RUNNERS {
            launched(&api, &pipeline).await;
            eventually("the job to be claimed", async || (served.borrow().len() > n).then_some(())).await;
        }
    };
    join(join_all(runners), launches).await;
    assert_eq!(served.into_inner(), (0..RUNNERS).collect::<Vec<_>>());
}

/// The waits are so short that many of them end while a claim is being appended.
async fn a_wait_that_ends_loses_no_job(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let runners = (0..8).map(|n| {
        let api = &api;
        async move {
            let mut claimed = Vec::new();
            for wait in 0..40 {
                let answer = api.claim_next(&format!("r{n}"), wait % 10).await;
                if answer.status == 200 {
                    claimed.push(job_of(&answer.json()));
                }
            }
            claimed
        }
    });
    let launches = async {
        for _ in 0..40 {
            launched(&api, &pipeline).await;
        }
    };
    let (claimed, ()) = join(join_all(runners), launches).await;
    let told: BTreeSet<String> = claimed.into_iter().flatten().collect();
    let held = list(&api, "/api/jobs").await;
    let held: BTreeSet<String> = held.iter().filter(|job| job["status"] == "Running").map(id).collect();
    assert_eq!(told, held);
}

async fn a_waiting_runner_is_online(kind: StoreKind) {
    let flags = ["--runner-offline-after", "8s", SWEEP_OFTEN, "--lease", "8s"];
    let app = TestApp::start_with(kind, &flags).await;
    let api = app.client();
    api.claim_next("r", 20_000).await.expect(204);
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
