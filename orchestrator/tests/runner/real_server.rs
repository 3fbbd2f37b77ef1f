//! The reference runner and the real server: the same program, twice.

use std::process::Stdio;
use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::{Runner, example};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server over a database of its own; killed when dropped.
struct Server {
    process: Child,
    database: TempDir,
    url: Url,
    http: reqwest::Client,
}

impl Server {
    async fn start() -> Self {
        let database = tempfile::tempdir().expect("a directory");
        let (process, url) = serve(&database, "127.0.0.1:0").await;
        Self { process, database, url, http: reqwest::Client::new() }
    }

    /// Ends it as the kernel does, and starts it again where it was.
    async fn kill_and_restart(&mut self) {
        self.process.kill().await.expect("it is killed");
        let address = format!("127.0.0.1:{}", self.url.port().expect("a port"));
        (self.process, self.url) = serve(&self.database, &address).await;
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let response =
            self.http.post(self.url.join(path).expect("a path")).json(body).send().await.expect("an answer");
        let (status, answer) = (response.status(), response.text().await.expect("text"));
        assert!(status.is_success(), "{path}: {status} {answer}");
        serde_json::from_str(&answer).unwrap_or_default()
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.http.get(self.url.join(path).expect("a path")).send().await.expect("an answer");
        response.json().await.expect("JSON")
    }

    async fn create(&self, script: &str) -> String {
        text(&self.post("/api/pipeline/create", &json!({ "script": script })).await["id"])
    }

    async fn launch(&self, pipeline: &str) -> String {
        let body = json!({ "pipeline_id": pipeline, "parameters": {} });
        text(&self.post("/api/pipeline/launch", &body).await["id"])
    }

    async fn ended(&self, job: &str) -> Value {
        let path = format!("/api/jobs/{job}");
        self.until(&path, |job| !matches!(job["status"].as_str(), Some("Queued" | "Running"))).await
    }

    async fn messages(&self, job: &str) -> Vec<String> {
        let log = self.get(&format!("/api/jobs/{job}/logs")).await;
        let entries = log.as_array().expect("a list").iter().filter(|entry| entry["level"] != "Debug");
        entries.map(|entry| text(&entry["message"])).collect()
    }

    /// Looks again and again until what it sees is as it shall be.
    async fn until(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let look = async {
            loop {
                let seen = self.get(path).await;
                if holds(&seen) {
                    return seen;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("in vain: {path}"))
    }
}

/// Starts a server, and waits until it says where it listens.
async fn serve(database: &TempDir, address: &str) -> (Child, Url) {
    let database_url = format!("sqlite://{}", database.path().join("rivet.db").display());
    let mut process = Command::new(env!("CARGO_BIN_EXE_rivet-orchestrator"))
        .args(["serve", "--listen", address, "--database-url", &database_url])
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a server");
    let mut said = BufReader::new(process.stderr.take().expect("it is piped")).lines();
    let port = timeout(PATIENCE, async {
        loop {
            let line = said.next_line().await.expect("text").expect("it listens before it ends");
            let digits =
                line.split_once("127.0.0.1:").map(|(_, rest)| rest.split(|it: char| !it.is_ascii_digit()));
            if let Some(port) = digits.and_then(|mut digits| digits.next()?.parse::<u16>().ok()) {
                return port;
            }
        }
    });
    let port = port.await.expect("it listens in time");
    tokio_util::task::TaskTracker::new()
        .spawn(async move { while said.next_line().await.is_ok_and(|line| line.is_some()) {} });
    let url = format!("http://127.0.0.1:{port}").parse().expect("a URL");
    (process, url)
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn two_runners_share_a_hundred_jobs_and_run_each_once() {
    let server = Server::start().await;
    let pipeline = server.create(&example("hello.lua")).await;
    let mut jobs = Vec::new();
    for _ in 0..100 {
        jobs.push(server.launch(&pipeline).await);
    }
    let _runners = ["one", "other"].map(|id| Runner::start_as(id, server.url.as_str(), &["--parallel", "4"]));
    for job in &jobs {
        let ended = server.ended(job).await;
        assert_eq!((&ended["status"], &ended["attempt"]), (&json!("Succeeded"), &json!(1)), "{ended}");
        assert_eq!(server.messages(job).await, ["stage greet", "Hello from Rivet", "Linux"]);
    }
}

#[tokio::test]
async fn a_job_outlives_a_killed_server_with_its_log_whole() {
    let mut server = Server::start().await;
    let _runner = Runner::start_as("r", server.url.as_str(), &[]);
    let script = "return { name = 'count', stages = { { name = 'count', script = function()
        process.run('for i in $(seq 1 300); do echo $i; sleep 0.01; done')
    end } } }";
    let job = server.launch(&server.create(script).await).await;
    for _ in 0..2 {
        let seen = server.messages(&job).await.len();
        let path = format!("/api/jobs/{job}/logs");
        server.until(&path, |log| log.as_array().is_some_and(|log| log.len() > seen + 20)).await;
        server.kill_and_restart().await;
    }
    let ended = server.ended(&job).await;
    assert_eq!((&ended["status"], &ended["attempt"]), (&json!("Succeeded"), &json!(1)), "{ended}");
    let lines: Vec<String> = (1..=300).map(|number: u32| number.to_string()).collect();
    assert_eq!(server.messages(&job).await[1..], lines);
}

#[tokio::test]
async fn a_failing_job_is_failed_with_its_exit_code() {
    let server = Server::start().await;
    let _runner = Runner::start_as("r", server.url.as_str(), &[]);
    let job = server.launch(&server.create(&example("fails.lua")).await).await;
    let ended = server.ended(&job).await;
    assert_eq!((&ended["status"], &ended["result"]["exit_code"]), (&json!("Failed"), &json!(3)), "{ended}");
}

#[tokio::test]
async fn a_cancelled_job_ends_as_cancelled_and_its_runner_goes_on() {
    let server = Server::start().await;
    let _runner = Runner::start_as("r", server.url.as_str(), &[]);
    let slow = server.launch(&server.create(&example("slow.lua")).await).await;
    let path = format!("/api/jobs/{slow}/logs");
    server.until(&path, |log| log.as_array().is_some_and(|log| log.len() >= 3)).await;
    server.post(&format!("/api/jobs/{slow}/cancel"), &json!({ "reason": "seen enough" })).await;
    let ended = server.ended(&slow).await;
    assert_eq!(
        (&ended["status"], &ended["result"]["exit_code"]),
        (&json!("Cancelled"), &json!(130)),
        "{ended}"
    );
    let next = server.launch(&server.create(&example("hello.lua")).await).await;
    assert_eq!(server.ended(&next).await["status"], "Succeeded");
}
