//! Faults between and under the servers: lost answers, a server that stands still, a database that dies.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use rivet_tests::client::Client;
use rivet_tests::lossy_proxy::LossyProxy;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{entry, failure, history, id, new_job, new_pipeline, pipeline, success};
use rivet_tests::server::{Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::{list, verify};
use rivet_tests::wait::{eventually, throughout};
use serde_json::{Value, json};

/// Workers, each with runner, pipeline and jobs of its own.
const WORKERS: usize = 6;
const LIVES: usize = 40;
const CRASHES: usize = 3;

on_both_stores! {
    lost_answers_change_nothing,
    a_server_that_stands_still_loses_no_healthy_job,
}

async fn lost_answers_change_nothing(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let proxy = LossyProxy::start(&app.server, 42).await;
    let lives = (0..WORKERS).map(|worker| live(app.client(), proxy.client(), worker));
    let expected: Vec<(String, Life)> = join_all(lives).await.into_iter().flatten().collect();
    assert!(proxy.lost() > expected.len() * 5, "{}", proxy.lost());

    let api = app.client();
    assert_eq!(list(&api, "/api/jobs").await.len(), expected.len());
    for (job, life) in expected {
        let shown = api.job(&job).await.expect(200);
        let (types, _) = history(&api, &job).await;
        assert_eq!(
            (&shown["status"], types.iter().map(String::as_str).collect()),
            (&json!(life.ends()), life.events())
        );
        let logs = api.logs(&job).await.expect(200);
        let messages: Vec<&str> =
            logs.as_array().into_iter().flatten().filter_map(|entry| entry["message"].as_str()).collect();
        assert_eq!(messages, life.logs(), "{job}");
    }
    app.verify().await;
}

/// What a job of the test goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Succeeds,
    FailsFirst,
    IsCancelledWhileItWaits,
    IsCancelledWhileItRuns,
}

impl Life {
    fn of(n: usize) -> Self {
        match n % 8 {
            3 => Self::FailsFirst,
            5 => Self::IsCancelledWhileItWaits,
            7 => Self::IsCancelledWhileItRuns,
            _ => Self::Succeeds,
        }
    }

    fn ends(self) -> &'static str {
        match self {
            Self::Succeeds | Self::FailsFirst => "Succeeded",
            Self::IsCancelledWhileItWaits | Self::IsCancelledWhileItRuns => "Cancelled",
        }
    }

    fn events(self) -> Vec<&'static str> {
        let attempt = ["job.claimed", "job.started"];
        match self {
            Self::Succeeds => [&["job.launched"][..], &attempt, &["job.completed"]].concat(),
            Self::FailsFirst => {
                [&["job.launched"][..], &attempt, &["job.requeued"], &attempt, &["job.completed"]].concat()
            }
            Self::IsCancelledWhileItWaits => vec!["job.launched", "job.cancelled"],
            Self::IsCancelledWhileItRuns => {
                [&["job.launched"][..], &attempt, &["job.cancel_requested", "job.cancelled"]].concat()
            }
        }
    }

    fn logs(self) -> Vec<&'static str> {
        let attempt = ["a", "b", "c", "d", "e"];
        match self {
            Self::Succeeds | Self::IsCancelledWhileItRuns => attempt.to_vec(),
            Self::FailsFirst => [attempt, attempt].concat(),
            Self::IsCancelledWhileItWaits => vec![],
        }
    }
}

/// Takes jobs through their lives over a lossy network; which, and how.
async fn live(sure: Client, lossy: Client, worker: usize) -> Vec<(String, Life)> {
    let capability = format!("worker-{worker}");
    let runner = format!("r{worker}");
    let mut request = pipeline("lossy");
    request["required_modules"] = json!([capability]);
    request["config"]["max_retries"] = json!(1);
    let pipeline = id(&sure.create_pipeline(&request).await.expect(200));
    sure.register(&runner, &[&capability]).await.expect(200);
    let mut lives = Vec::new();
    for n in 0..LIVES {
        let keyed = lossy.with("idempotency-key", &format!("launch-{n}"));
        let body = json!({"pipeline_id": pipeline, "parameters": {"n": n}});
        let launched = keyed.insist("/api/pipeline/launch", &body).await;
        assert_eq!(launched.header("idempotency-replayed"), Some("true"));
        let (job, life) = (id(&launched.expect(200)), Life::of(n));
        if life == Life::IsCancelledWhileItWaits {
            lossy.insist(&format!("/api/jobs/{job}/cancel"), &json!({})).await.expect(204);
        } else {
            if life == Life::FailsFirst {
                attempt(&lossy, &job, &runner, life, &failure()).await;
            }
            attempt(&lossy, &job, &runner, life, &success()).await;
        }
        lives.push((job, life));
    }
    lives
}

/// One attempt: by id where the worker knows the job to be due, as the next where it has to wait for it.
async fn attempt(lossy: &Client, job: &str, runner: &str, life: Life, result: &Value) {
    let attempt = format!("{job}-{}", result["success"]);
    let keyed = lossy.with("rivet-request-key", &attempt);
    let claimed = if life == Life::Succeeds {
        let body = json!({"runner_id": runner, "fencing": true});
        keyed.insist(&format!("/api/jobs/{job}/claim"), &body).await
    } else {
        keyed.insist("/api/jobs/claim", &json!({"runner_id": runner, "wait_ms": 20_000})).await
    };
    let claimed = claimed.expect(200);
    assert_eq!(claimed["job_id"], job);
    let holder = lossy.holding(&claimed);
    let logs = format!("/api/jobs/{job}/logs");
    let batch = |messages: &[&str]| json!({"entries": messages.iter().map(|m| entry(m)).collect::<Vec<_>>()});
    let at = |offset: usize| holder.with("rivet-log-offset", &offset);
    at(0).insist(&logs, &batch(&["a", "b"])).await.expect(201);
    at(1).insist(&logs, &batch(&["b", "c"])).await.expect(201);
    holder.insist(&logs, &batch(&["d", "e"])).await.expect(201);
    if life == Life::IsCancelledWhileItRuns {
        lossy.insist(&format!("/api/jobs/{job}/cancel"), &json!({})).await.expect(204);
    }
    holder.insist(&format!("/api/jobs/{job}/complete"), &json!({"result": result})).await.expect(204);
}

async fn a_server_that_stands_still_loses_no_healthy_job(kind: StoreKind) {
    let flags = ["--lease", "3s", "--sweep-interval", "100ms"];
    let app = TestApp::start_with(kind, &flags).await;
    let api = app.client();
    let mut jobs = Vec::new();
    for n in 0..5 {
        let job = new_job(&api).await;
        let claimed = api.claim_fencing(&job, &format!("r{n}")).await.expect(200);
        api.holding(&claimed).set_status(&job, "Running").await.expect(204);
        jobs.push(job);
    }
    let beat = async |runners: usize| {
        for n in 0..runners {
            assert!(api.heartbeat(&format!("r{n}")).await.status < 300);
        }
    };
    // Past the grace of the start, so that it is not what saves them.
    throughout(Duration::from_secs(5), async || beat(5).await).await;
    app.server.freeze();
    throughout(Duration::from_secs(5), async || ()).await;
    app.server.thaw();
    // They had spoken just before, and have a while until they speak again.
    throughout(Duration::from_secs(1), async || ()).await;
    throughout(Duration::from_secs(5), async || beat(4).await).await;
    for job in &jobs[..4] {
        let shown = api.job(job).await.expect(200);
        assert_eq!((&shown["status"], &shown["attempt"]), (&json!("Running"), &json!(1)));
    }
    eventually("the lost one to be missed", async || {
        (api.job(&jobs[4]).await.expect(200)["status"] == "Queued").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_outlives_its_database() {
    let store = Store::in_own_cluster().await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    let pipeline = new_pipeline(&api).await;
    let (done, stop) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let writers = (0..WORKERS).map(|worker| write_until(&api, &pipeline, worker, &done, &stop));
    let count = || done.lock().expect("no writer panics").len();
    let crashes = async {
        for _ in 0..CRASHES {
            let before = count();
            eventually("writes to be under way", async || (count() >= before + 5).then_some(())).await;
            store.cluster().kill();
            store.cluster().resume().await;
            let (before, began) = (count(), Instant::now());
            eventually("writes to go on", async || (count() > before).then_some(())).await;
            println!("writes went on {:?} after the database was back", began.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
    };
    join(join_all(writers), crashes).await;
    let began = Instant::now();
    eventually("the read models to catch up", async || {
        api.get("/api/jobs?limit=1").await.header("rivet-stale").is_none().then_some(())
    })
    .await;
    println!("the read models had caught up after {:?}", began.elapsed());
    let done = done.into_inner().expect("no writer panics");
    assert_eq!(list(&api, "/api/jobs").await.len(), done.len());
    for job in &done {
        let (types, _) = history(&api, job).await;
        assert_eq!(types, ["job.launched", "job.claimed", "job.started", "job.completed"]);
        assert_eq!(api.job(job).await.expect(200)["status"], "Succeeded");
        assert_eq!(api.logs(job).await.expect(200).as_array().map(Vec::len), Some(1));
    }
    verify(&api).await;
}

/// Takes one job after the other through its life, insisting on each step, until it is told to stop.
async fn write_until(
    api: &Client,
    pipeline: &str,
    worker: usize,
    done: &Mutex<Vec<String>>,
    stop: &AtomicBool,
) {
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let key = format!("{worker}-{n}");
        let body = json!({"pipeline_id": pipeline, "parameters": {}});
        let launched = api.with("idempotency-key", &key).insist("/api/pipeline/launch", &body).await;
        let job = id(&launched.expect(200));
        let body = json!({"runner_id": format!("r{worker}"), "fencing": true});
        let claim = format!("/api/jobs/{job}/claim");
        let claimed = api.with("rivet-request-key", &key).insist(&claim, &body).await.expect(200);
        let holder = api.holding(&claimed).with("rivet-log-offset", &0);
        holder.insist(&format!("/api/jobs/{job}/logs"), &json!([entry("done")])).await.expect(201);
        let result = json!({"result": success()});
        holder.insist(&format!("/api/jobs/{job}/complete"), &result).await.expect(204);
        done.lock().expect("no writer panics").push(job);
    }
}
