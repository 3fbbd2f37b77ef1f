//! Concurrency groups: a group never runs more jobs than its limit, whoever claims, and newer jobs can replace older
//! ones.

use std::cell::RefCell;
use std::pin::pin;

use chrono::DateTime;
use futures_util::future::{join_all, select};
use rivet_events::group::{GroupEvent, GroupPlaceTaken};
use rivet_events::id::{JobId, LeaseId};
use rivet_events::{Event, StreamId};
use rivet_tests::client::{Answer, Client};
use rivet_tests::history::{Stream, unreadable};
use rivet_tests::on_both_stores;
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{self, assert_follows, history, id, launched, new_pipeline_with, success};
use rivet_tests::server::{Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::{head, recorded};
use rivet_tests::wait::eventually;
use serde_json::{Value, json};

on_both_stores! {
    a_claim_beyond_the_limit_is_refused_until_a_place_is_free,
    racing_claims_of_a_group_stop_at_its_limit,
    many_claims_of_a_wide_group_at_once_all_win,
    a_newer_job_replaces_the_older_ones_of_its_group,
    a_newer_job_replaces_a_long_queue,
    a_name_that_is_too_long_is_refused,
    waiting_runners_are_given_the_jobs_of_a_group_in_order,
    a_full_group_does_not_hold_back_other_jobs,
    a_runner_that_polls_is_shown_no_more_jobs_of_a_group_than_it_has_places,
    a_job_that_cannot_be_read_only_keeps_its_own_place,
    a_long_history_of_a_group_leads_to_its_places,
}

async fn jobs(api: &Client, count: usize, config: &serde_json::Value) -> Vec<String> {
    let pipeline = new_pipeline_with(api, config).await;
    let mut jobs = Vec::new();
    for _ in 0..count {
        jobs.push(launched(api, &pipeline).await);
    }
    jobs
}

async fn a_claim_beyond_the_limit_is_refused_until_a_place_is_free(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    // A name may contain any character but NUL.
    let group = "deploy/ä \u{1a}";
    let jobs = jobs(&api, 2, &json!({"concurrency_group": group})).await;
    api.claim(&jobs[0], "r").await.expect(200);
    api.claim(&jobs[1], "r").await.expect_refusal(409, "concurrency_limit");
    assert_eq!(api.scheduled(None).await.expect(200), json!([]), "what would be refused is not offered");
    let waiting = api.job(&jobs[1]).await.expect(200)["waiting"].clone();
    let expected = json!({"place": 1, "reason": "concurrency", "missing_capabilities": [], "group": group, "held_by": [jobs[0]]});
    assert_eq!(waiting, expected, "it says which group, and who holds its place");
    api.claim_next("r", 0).await.expect(204);
    api.complete(&jobs[0], &success()).await.expect(204);
    api.claim(&jobs[1], "r").await.expect(200);
    app.verify().await;
}

async fn racing_claims_of_a_group_stop_at_its_limit(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    race(&[app.client()]).await;
    app.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_keeps_its_limit_across_replicas() {
    let replicas = Replicas::start(&[]).await;
    race(&replicas.clients()).await;
}

async fn many_claims_of_a_wide_group_at_once_all_win(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let jobs = jobs(&api, 64, &json!({"concurrency_group": "wide", "concurrency_limit": 100})).await;
    for claimed in join_all(jobs.iter().map(|job| api.claim(job, "r"))).await {
        claimed.expect(200);
    }
}

/// Three rounds, each of which fills the group and empties it again.
async fn race(replicas: &[Client]) {
    let api = &replicas[0];
    let jobs = jobs(api, 16, &json!({"concurrency_group": "g", "concurrency_limit": 3})).await;
    let mut waiting = jobs;
    for _ in 0..3 {
        let claims = waiting.iter().enumerate().map(|(n, job)| replicas[n % replicas.len()].claim(job, "r"));
        let answers: Vec<Answer> = join_all(claims).await;
        let won: Vec<bool> = answers.iter().map(|answer| answer.status == 200).collect();
        assert_eq!(won.iter().filter(|won| **won).count(), 3, "{answers:?}");
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            answer.expect_refusal(409, "concurrency_limit");
        }
        let (running, rest): (Vec<_>, Vec<_>) = waiting.into_iter().zip(won).partition(|(_, won)| *won);
        for (job, _) in running {
            api.complete(&job, &success()).await.expect(204);
        }
        waiting = rest.into_iter().map(|(job, _)| job).collect();
    }
}

async fn a_newer_job_replaces_the_older_ones_of_its_group(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let config = json!({"concurrency_group": "preview", "concurrency_policy": "cancel_older"});
    let pipeline = new_pipeline_with(&api, &config).await;
    let launch = async || launched(&api, &pipeline).await;
    let running = launch().await;
    api.claim(&running, "r").await.expect(200);
    let waiting = launch().await;
    assert_eq!(api.job(&running).await.expect(200)["phase"], "cancelling");
    assert_eq!(api.heartbeat("r").await.header("rivet-cancel"), Some(&*running));
    let by_alice = api.with("x-request-id", "alice-1");
    let newest = id(&by_alice.launch(&pipeline, &json!({})).await.expect(200));
    assert_follows(&history(&api, &waiting).await.1[1], &history(&api, &newest).await.1[0], "alice-1");
    let replaced = api.job(&waiting).await.expect(200);
    assert_eq!(replaced["status"], "Cancelled");
    assert_eq!(replaced["reason"], format!("superseded by job {newest}"));
    api.complete(&running, &success()).await.expect(204);
    api.claim(&newest, "r").await.expect(200);
    api.post(&format!("/api/jobs/{waiting}/retry"), &Value::Null).await.expect(200);
    assert_eq!(api.job(&newest).await.expect(200)["phase"], "cancelling");
    app.verify().await;
}

async fn a_newer_job_replaces_a_long_queue(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let patient = new_pipeline_with(&api, &json!({"concurrency_group": "long"})).await;
    let parameters = json!({});
    // More than are read at a time.
    for _ in 0..17 {
        for launched in join_all((0..32).map(|_| api.launch(&patient, &parameters))).await {
            launched.expect(200);
        }
    }
    let config = json!({"concurrency_group": "long", "concurrency_policy": "cancel_older"});
    let hasty = new_pipeline_with(&api, &config).await;
    let newest = id(&api.launch(&hasty, &parameters).await.expect(200));
    assert_eq!(sample::ids(&api.get("/api/jobs?status=Queued").await.expect(200)), [newest]);
}

async fn a_name_that_is_too_long_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let (longest, too_long) = ("g".repeat(255), "g".repeat(256));
    let pipeline = new_pipeline_with(&api, &json!({"concurrency_group": longest})).await;
    let launch = async |group: &str| {
        let launch = json!({"pipeline_id": pipeline, "concurrency_group": group});
        api.post("/api/pipeline/launch", &launch).await
    };
    launch(&longest).await.expect(200);
    launch(&too_long).await.expect_refusal(422, "invalid_body");
    let mut request = sample::pipeline("build");
    request["config"] = json!({"concurrency_group": too_long});
    api.create_pipeline(&request).await.expect_refusal(422, "invalid_body");
}

async fn waiting_runners_are_given_the_jobs_of_a_group_in_order(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let jobs = jobs(&api, 24, &json!({"concurrency_group": "g"})).await;
    let served = RefCell::new(Vec::new());
    let runners = (0..6).map(|n| {
        let (api, served) = (&api, &served);
        async move {
            loop {
                let claimed = api.claim_next(&format!("r{n}"), 50_000).await.expect(200);
                let job = claimed["job_id"].as_str().unwrap().to_owned();
                served.borrow_mut().push(job.clone());
                api.holding(&claimed).complete(&job, &success()).await.expect(204);
            }
        }
    });
    let all_served =
        eventually("all jobs to be served", async || (served.borrow().len() == jobs.len()).then_some(()));
    select(pin!(join_all(runners)), pin!(all_served)).await;
    assert_eq!(served.into_inner(), jobs);
    let refused = "rivet_commands_total{aggregate=\"job\",command=\"claim\",outcome=\"refused\"} 0";
    assert!(api.get("/metrics").await.text.lines().any(|line| line == refused), "no runner was sent in vain");
}

/// Many more jobs of one group wait than one query returns.
async fn a_full_group_does_not_hold_back_other_jobs(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let grouped = jobs(&api, 250, &json!({"concurrency_group": "g", "concurrency_limit": 2})).await;
    let free = id(&api.launch(&new_pipeline_with(&api, &json!({})).await, &json!({})).await.expect(200));
    let runners = ["r0", "r1", "r2"];
    let claimed: Vec<Answer> = join_all(runners.map(|runner| api.claim_next(runner, 50_000))).await;
    let claimed: Vec<Value> = claimed.iter().map(|answer| answer.expect(200)).collect();
    let mut given: Vec<&str> = claimed.iter().map(|claimed| claimed["job_id"].as_str().unwrap()).collect();
    given.sort_unstable();
    let mut expected = vec![&*grouped[0], &*grouped[1], &*free];
    expected.sort_unstable();
    assert_eq!(given, expected);
}

/// More jobs of one group wait than one answer has.
async fn a_runner_that_polls_is_shown_no_more_jobs_of_a_group_than_it_has_places(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let narrow = jobs(&api, 101, &json!({"concurrency_group": "narrow"})).await;
    let plain = jobs(&api, 1, &json!({})).await;
    let wide = jobs(&api, 4, &json!({"concurrency_group": "wide", "concurrency_limit": 3})).await;
    api.register("r", &[]).await.expect(200);
    let offered = [&narrow[..1], &plain, &wide[..3]].concat();
    for runner in [None, Some("r")] {
        assert_eq!(sample::ids(&api.scheduled(runner).await.expect(200)), offered);
    }
    api.claim(&wide[3], "other").await.expect(200);
    let offered = [&narrow[..1], &plain, &wide[..2]].concat();
    let now = head(&api).await;
    assert_eq!(sample::ids(&api.scheduled(Some("r")).await.expect(200)), offered);
    assert_eq!(sample::ids(&api.get(&format!("/api/jobs/scheduled?at={now}")).await.expect(200)), offered);
    for job in &offered {
        api.claim(job, "r").await.expect(200);
    }
    assert_eq!(api.scheduled(Some("r")).await.expect(200), json!([]));
}

fn taken(job_id: JobId) -> Event {
    Event::Group(GroupEvent::PlaceTaken(GroupPlaceTaken {
        group: "g".to_owned(),
        job_id,
        lease_id: LeaseId::generate(),
        taken_at: DateTime::UNIX_EPOCH,
        places: None,
    }))
}

/// A server over a log that has these streams.
async fn server_with(kind: StoreKind, streams: &[Stream]) -> (Store, Server) {
    let store = Store::create(kind).await;
    store.append(streams, 100).await;
    let server = Server::start(&store, &[]).await;
    (store, server)
}

/// Of the three jobs that hold a place, one cannot be read, and the leases of the others have ended.
async fn a_job_that_cannot_be_read_only_keeps_its_own_place(kind: StoreKind) {
    let broken = JobId::generate();
    let places = vec![taken(JobId::generate()), taken(broken), taken(JobId::generate())];
    let teleported = vec![unreadable("job.teleported")];
    let streams = [(StreamId::group("g"), places), (StreamId::job(broken), teleported)];
    let (_store, server) = server_with(kind, &streams).await;
    let api = server.client();
    let jobs = jobs(&api, 3, &json!({"concurrency_group": "g", "concurrency_limit": 3})).await;
    api.claim(&jobs[0], "r").await.expect(200);
    api.claim(&jobs[1], "r").await.expect(200);
    api.claim(&jobs[2], "r").await.expect_refusal(409, "concurrency_limit");
}

/// The history is that of an older build, without an event that lists all places. The next claims write such events.
async fn a_long_history_of_a_group_leads_to_its_places(kind: StoreKind) {
    let places = (0..300).map(|_| taken(JobId::generate())).collect();
    let (store, server) = server_with(kind, &[(StreamId::group("g"), places)]).await;
    let api = server.client();
    let jobs = jobs(&api, 3, &json!({"concurrency_group": "g", "concurrency_limit": 2})).await;
    api.claim(&jobs[0], "r").await.expect(200);
    let taken = &recorded(&api, "group.place_taken").await[300];
    assert_eq!(taken["payload"]["places"].as_array().map(Vec::len), Some(1), "{taken}");
    server.terminate().await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    api.claim(&jobs[1], "r").await.expect(200);
    api.claim(&jobs[2], "r").await.expect_refusal(409, "concurrency_limit");
}
