//! Clients that take jobs through their lives, read them back and wait for work. Each request is sent once, and the
//! clients count those that a restart breaks.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use rivet_tests::client::{Answer, Client};
use rivet_tests::sample::{entry, id, new_demanding_pipeline, success};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Number of clients, each with an address of its own, since nginx distributes addresses over the replicas.
const WRITERS: u8 = 12;
/// Number of runners that wait for work that never comes, each with an address of its own too.
const WAITERS: u8 = 4;
const FIRST_ADDRESS: u8 = 2;
/// Pause between two requests of a client.
const PAUSE: Duration = Duration::from_millis(5);

/// What the clients observed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) stale: u64,
    /// Longest time of a request that does not wait.
    pub(crate) slowest: Duration,
    pub(crate) failures: Vec<String>,
}

/// The running clients.
pub(crate) struct Load {
    clients: JoinSet<()>,
    counts: Arc<Mutex<Counts>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    pub(crate) async fn begin(address: &str) -> Self {
        let base = format!("http://{address}");
        let pipeline = new_demanding_pipeline(&Client::new(&base), &["work"]).await;
        let (counts, stop) = (Arc::<Mutex<Counts>>::default(), Arc::<AtomicBool>::default());
        let began = Instant::now();
        let mut clients = JoinSet::new();
        for number in 0..WRITERS + WAITERS {
            let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 0, FIRST_ADDRESS + number));
            let user = User {
                api: Client::from_address(&base, ip),
                name: format!("r{number}"),
                position: 0,
                counts: Arc::clone(&counts),
                began,
            };
            let (pipeline, stop) = (pipeline.clone(), Arc::clone(&stop));
            clients.spawn(async move { user.work(number >= WRITERS, &pipeline, &stop).await });
        }
        Self { clients, counts, stop }
    }

    /// Waits until every client has got its last answer.
    pub(crate) async fn end(mut self) -> Counts {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One client.
struct User {
    api: Client,
    name: String,
    /// The position of its last write: its reads send it, since another replica may answer them.
    position: u64,
    counts: Arc<Mutex<Counts>>,
    began: Instant,
}

impl User {
    async fn work(mut self, waits: bool, pipeline: &str, stop: &AtomicBool) {
        if waits {
            // This runner lacks what the jobs demand; the others never registered, and may run any job.
            let body = json!({"runner_id": self.name, "capabilities": []});
            self.send(Method::POST, "/api/runners/register", Some(&body), None, 200).await;
        }
        while !stop.load(Ordering::Relaxed) {
            if waits {
                let body = json!({"runner_id": self.name, "wait_ms": 2_000});
                self.send(Method::POST, "/api/jobs/claim", Some(&body), None, 204).await;
            } else {
                self.live(pipeline).await;
            }
        }
    }

    /// The life of a job, and reading it; ends with the first request that fails.
    async fn live(&mut self, pipeline: &str) -> Option<()> {
        let launch = json!({"pipeline_id": pipeline, "parameters": {}});
        let job =
            id(&self.send(Method::POST, "/api/pipeline/launch", Some(&launch), None, 200).await?.json());
        let path = format!("/api/jobs/{job}");
        self.read(&path, "Queued").await?;
        let claim = json!({"runner_id": self.name, "fencing": true});
        let claimed =
            self.send(Method::POST, &format!("{path}/claim"), Some(&claim), None, 200).await?.json();
        let lease = claimed["lease_id"].as_str();
        let running = json!({"status": "Running"});
        self.send(Method::PUT, &format!("{path}/status"), Some(&running), lease, 204).await?;
        for batch in 0..3 {
            let batch = json!([entry(&format!("{batch}.1")), entry(&format!("{batch}.2"))]);
            self.send(Method::POST, &format!("{path}/logs"), Some(&batch), lease, 201).await?;
        }
        self.read(&path, "Running").await?;
        let beat = format!("/api/runners/{}/heartbeat", self.name);
        self.send(Method::POST, &beat, None, None, 204).await?;
        let result = json!({"result": success()});
        self.send(Method::POST, &format!("{path}/complete"), Some(&result), lease, 204).await?;
        self.read(&path, "Succeeded").await?;
        let log = self.send(Method::GET, &format!("{path}/logs"), None, None, 200).await?.json();
        if log.as_array().map(Vec::len) != Some(6) {
            self.fail(&path, &format!("its log is {log}"));
        }
        self.send(Method::GET, "/api/jobs?limit=10", None, None, 200).await?;
        Some(())
    }

    async fn read(&mut self, path: &str, status: &str) -> Option<()> {
        let answer = self.send(Method::GET, path, None, None, 200).await?;
        if answer.header("rivet-stale").is_none() && answer.json()["status"] != status {
            self.fail(path, &format!("not {status}: {}", answer.text));
        }
        Some(())
    }

    /// One request, sent once.
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        lease: Option<&str>,
        expected: u16,
    ) -> Option<Answer> {
        tokio::time::sleep(PAUSE).await;
        let mut request: RequestBuilder = self.api.request(method.clone(), path);
        if method == Method::GET {
            request = request.header("rivet-min-position", self.position);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(lease) = lease {
            request = request.header("rivet-lease", lease);
        }
        let sent = Instant::now();
        let answer = self.api.try_send(request).await;
        let (took, waits) = (sent.elapsed(), path == "/api/jobs/claim");
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.requests += 1;
        if !waits {
            counts.slowest = counts.slowest.max(took);
        }
        match answer {
            Ok(answer) if answer.status == expected => {
                counts.stale += u64::from(answer.header("rivet-stale").is_some());
                drop(counts);
                if let Some(position) = answer.header("rivet-position") {
                    self.position = position.parse().unwrap();
                }
                Some(answer)
            }
            other => {
                drop(counts);
                let saw = other
                    .map_or_else(|error| format!("{error:?}"), |it| format!("{} {}", it.status, it.text));
                self.fail(path, &format!("{method}: {saw}"));
                None
            }
        }
    }

    fn fail(&self, path: &str, what: &impl Display) {
        let failure = format!("{:.2?} {} {path} {what}", self.began.elapsed(), self.name);
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).failures.push(failure);
    }
}
