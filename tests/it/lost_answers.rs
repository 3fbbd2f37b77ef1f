//! A network that loses answers, and clients that repeat every request: everything happens exactly once, and in
//! order.

use std::collections::HashMap;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use rivet_tests::client::Client;
use rivet_tests::lossy_proxy::LossyProxy;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{entry, failure, id, messages, pipeline, success};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rivet_tests::verify::{events, list};
use serde_json::{Value, json};

/// Number of workers, each with a runner, a pipeline and jobs of its own.
const WORKERS: usize = 50;
/// Jobs per worker, one after the other.
const LIVES: usize = 20;
/// Number of logs that are read at the same time.
const LOOKS: usize = 16;

on_both_stores! { lost_answers_change_nothing }

async fn lost_answers_change_nothing(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let proxy = LossyProxy::start(&app.server, 42).await;
    let mut lives = Vec::new();
    for worker in 0..WORKERS {
        // One after the other, since only a few definitions are read at a time.
        let pipeline = prepare(&app.client(), worker).await;
        lives.push(live(proxy.client(), pipeline, worker));
    }
    let expected: Vec<(String, Life)> = join_all(lives).await.into_iter().flatten().collect();
    assert!(proxy.lost() > expected.len() * 5, "{}", proxy.lost());

    let api = app.client();
    let shown = list(&api, "/api/jobs").await;
    let shown: HashMap<String, &Value> = shown.iter().map(|job| (id(job), job)).collect();
    let histories = histories(&api).await;
    assert_eq!((shown.len(), histories.len()), (expected.len(), expected.len()));
    // Every job has the same state, history and log as without lost answers.
    for (job, life) in &expected {
        assert_eq!(shown[job]["status"], life.ends(), "{job}");
        assert_eq!(histories[job], life.events(), "{job}");
    }
    let logs = stream::iter(expected).map(|(job, life)| assert_logged(&api, job, life));
    logs.buffer_unordered(LOOKS).collect::<()>().await;
    app.verify().await;
}

async fn assert_logged(api: &Client, job: String, life: Life) {
    assert_eq!(messages(&api.logs(&job).await.expect(200)), life.logs(), "{job}");
}

/// The types of the events of each job, in order.
async fn histories(api: &Client) -> HashMap<String, Vec<String>> {
    let mut histories: HashMap<String, Vec<String>> = HashMap::new();
    for event in events(api).await {
        if event["stream_type"] == "job" {
            let text = |member: &str| event[member].as_str().expect("it is text").to_owned();
            histories.entry(text("stream_id")).or_default().push(text("type"));
        }
    }
    histories
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

/// A pipeline whose jobs only the runner of this worker can run.
async fn prepare(api: &Client, worker: usize) -> String {
    let capability = format!("worker-{worker}");
    let mut request = pipeline("lossy");
    request["required_modules"] = json!([capability]);
    request["config"]["max_retries"] = json!(1);
    api.register(&format!("r{worker}"), &[&capability]).await.expect(200);
    id(&api.create_pipeline(&request).await.expect(200))
}

/// Takes these jobs through these lives over a lossy network.
async fn live(lossy: Client, pipeline: String, worker: usize) -> Vec<(String, Life)> {
    let runner = format!("r{worker}");
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

/// One attempt. The worker claims the job by its id if it knows the job to be due, else by next-claim, which waits
/// for it.
async fn attempt(lossy: &Client, job: &str, runner: &str, life: Life, result: &Value) {
    let attempt = format!("{job}-{}", result["success"]);
    let keyed = lossy.with("rivet-request-key", &attempt);
    let claimed = if life == Life::Succeeds {
        let body = json!({"runner_id": runner, "fencing": true});
        keyed.insist(&format!("/api/jobs/{job}/claim"), &body).await
    } else {
        keyed.insist("/api/jobs/claim", &json!({"runner_id": runner, "wait_ms": 50_000})).await
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
