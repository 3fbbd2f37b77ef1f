//! Clients that take jobs through their whole lives, and repeat every request, at any replica, until it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use rivet_tests::client::{Answer, Client};
use rivet_tests::sample::{entry, id};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::fleet::Fleet;
use crate::journal::Journal;

const LAUNCHERS: usize = 4;
const RUNNERS: usize = 16;
/// Maximum number of jobs that wait or run at a time.
const OUTSTANDING: u64 = 200;
const PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for an answer; then the request is repeated at another replica.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time without a good answer from any replica.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest time until every launched job has ended.
const DRAIN_TIMEOUT: Duration = Duration::from_mins(1);
const BATCHES: usize = 3;
const BATCH: usize = 5;

/// The running clients.
pub(crate) struct Load {
    clients: JoinSet<()>,
    stop: Arc<AtomicBool>,
}

/// What all clients share.
#[derive(Clone)]
struct Context {
    fleet: Arc<Fleet>,
    journal: Arc<Journal>,
    pipeline: Arc<str>,
    /// Makes keys unique.
    keys: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

pub(crate) fn begin(fleet: &Arc<Fleet>, pipeline: &str, journal: &Arc<Journal>) -> Load {
    let context = Context {
        fleet: Arc::clone(fleet),
        journal: Arc::clone(journal),
        pipeline: pipeline.into(),
        keys: Arc::default(),
        stop: Arc::default(),
    };
    let mut clients = JoinSet::new();
    for _ in 0..LAUNCHERS {
        let context = context.clone();
        clients.spawn(async move { context.launch().await });
    }
    for runner in 0..RUNNERS {
        let context = context.clone();
        clients.spawn(async move { context.run(runner).await });
    }
    Load { clients, stop: context.stop }
}

impl Load {
    pub(crate) fn stop_launching(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits until every launched job has ended.
    pub(crate) async fn wait_until_all_ended(mut self, journal: &Journal) {
        let ended = timeout(DRAIN_TIMEOUT, async {
            while let Some(client) = self.clients.join_next().await {
                client.unwrap();
            }
        });
        assert!(ended.await.is_ok(), "{} jobs did not end", journal.outstanding());
    }
}

impl Context {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn new_key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a request until it is answered. 503 means not now, or that the outcome is not known.
    async fn insist(&self, request: impl Fn(&Client) -> RequestBuilder) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let client = self.fleet.any_client();
            let answer = timeout(ANSWER_TIMEOUT, client.try_send(request(&client))).await;
            match answer {
                Ok(Ok(answer)) if answer.status != 503 => return answer,
                answer => assert!(Instant::now() < deadline, "no good answer in {PATIENCE:?}: {answer:?}"),
            }
            self.journal.repeated.fetch_add(1, Ordering::Relaxed);
            sleep(PAUSE).await;
        }
    }

    async fn launch(&self) {
        while !self.is_stopped() {
            if self.journal.outstanding() >= OUTSTANDING {
                sleep(PAUSE).await;
                continue;
            }
            let key = self.new_key();
            let body = json!({"pipeline_id": &*self.pipeline, "parameters": {"key": key}});
            let answer = self
                .insist(|api| {
                    api.request(Method::POST, "/api/pipeline/launch")
                        .header("idempotency-key", &key)
                        .json(&body)
                })
                .await;
            let job = answer.expect(200);
            assert_eq!(job["parameters"]["key"], key);
            if answer.header("idempotency-replayed").is_some() {
                self.journal.replayed.fetch_add(1, Ordering::Relaxed);
            }
            self.journal.launched(&id(&job));
        }
    }

    async fn run(&self, runner: usize) {
        let name = format!("runner-{runner}");
        while !self.is_stopped() || self.journal.outstanding() > 0 {
            let claimed = if runner.is_multiple_of(2) {
                self.claim_next(&name).await
            } else {
                self.claim_listed(&name, runner).await
            };
            if let Some(claimed) = claimed {
                self.work(&claimed, &name).await;
            }
        }
    }

    async fn claim_next(&self, name: &str) -> Option<Value> {
        let key = self.new_key();
        let body = json!({"runner_id": name, "wait_ms": 1000});
        let answer = self
            .insist(|api| {
                api.request(Method::POST, "/api/jobs/claim").header("rivet-request-key", &key).json(&body)
            })
            .await;
        if answer.status == 204 {
            return None;
        }
        Some(answer.expect(200))
    }

    /// Races with others for one of the listed jobs.
    async fn claim_listed(&self, name: &str, runner: usize) -> Option<Value> {
        let path = format!("/api/jobs/scheduled?runner_id={name}");
        let listed = self.insist(|api| api.request(Method::GET, &path)).await.expect(200);
        let listed = listed.as_array().unwrap();
        let Some(job) = listed.get(runner / 4).or_else(|| listed.first()) else {
            sleep(PAUSE).await;
            return None;
        };
        let key = self.new_key();
        let (path, body) =
            (format!("/api/jobs/{}/claim", id(job)), json!({"runner_id": name, "fencing": true}));
        let answer = self
            .insist(|api| api.request(Method::POST, &path).header("rivet-request-key", &key).json(&body))
            .await;
        if answer.status == 409 {
            answer.expect_refusal(409, "already_claimed");
            return None;
        }
        Some(answer.expect(200))
    }

    /// Sends the log, and completes the job.
    async fn work(&self, claimed: &Value, name: &str) {
        let text = |member: &str| claimed[member].as_str().unwrap();
        let (job, lease) = (text("job_id"), text("lease_id"));
        self.journal.claimed(job, claimed["attempt"].as_u64().unwrap(), lease, name);
        let path = format!("/api/jobs/{job}/logs");
        for batch in 0..BATCHES {
            let offset = batch * BATCH;
            let lines: Vec<String> =
                (offset..offset + BATCH).map(|line| format!("{job} line {line}")).collect();
            let entries: Vec<Value> = lines.iter().map(|line| entry(line)).collect();
            let answer = self
                .insist(|api| {
                    let request = api.request(Method::POST, &path).header("rivet-lease", lease);
                    request.header("rivet-log-offset", offset).json(&entries)
                })
                .await;
            answer.expect(201);
            assert_eq!(answer.header("rivet-log-ack"), Some(&*(offset + BATCH).to_string()));
            for line in lines {
                self.journal.logged(job, line);
            }
        }
        let path = format!("/api/jobs/{job}/complete");
        let output = json!({"by": name, "lease": lease});
        let result = json!({"result": {"success": true, "exit_code": 0, "output": output}});
        let complete =
            |api: &Client| api.request(Method::POST, &path).header("rivet-lease", lease).json(&result);
        self.insist(complete).await.expect(204);
        self.journal.completed(job, output);
    }
}
