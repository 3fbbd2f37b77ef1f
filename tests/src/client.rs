//! A client whose methods are named after the use cases. It speaks both dialects, as Rivet's runners and CLI do.
//!
//! Every method returns whatever was answered; [`Answer::expect`] and [`Answer::expect_refusal`] turn that into an
//! assertion.

mod answer;

use std::net::IpAddr;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::wait::eventually;

pub use answer::Answer;

const CREATE_PIPELINE: &str = "/api/pipeline/create";

/// A client of one server. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    headers: HeaderMap,
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:8080`.
    pub fn new(base: impl Into<String>) -> Self {
        Self { http: reqwest::Client::new(), base: base.into(), headers: HeaderMap::new() }
    }

    /// A client whose connections come from a local address.
    pub fn from_address(base: impl Into<String>, address: IpAddr) -> Self {
        let http = reqwest::Client::builder().local_address(address).build().expect("it needs nothing else");
        Self { http, ..Self::new(base) }
    }

    /// The same client, sending one more header: a lease, a key, an offset.
    #[must_use]
    pub fn with(&self, name: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        let mut client = self.clone();
        let value = HeaderValue::from_str(&value.to_string()).expect("a test's header is text");
        client.headers.insert(HeaderName::from_static(name), value);
        client
    }

    /// Dialect A: registers a runner with its capabilities.
    pub async fn register(&self, runner: &str, capabilities: &[&str]) -> Answer {
        let body = json!({"runner_id": runner, "capabilities": capabilities});
        self.post("/api/runners/register", &body).await
    }

    /// Dialect B: registers a runner without declared capabilities.
    pub async fn register_unrestricted(&self, runner: &str) -> Answer {
        self.post("/api/runners/register", &json!({"runner_id": runner})).await
    }

    /// Registers a runner without capabilities, as the process that this id names.
    pub async fn boot(&self, runner: &str, boot_id: &str) -> Answer {
        let body = json!({"runner_id": runner, "capabilities": [], "boot_id": boot_id});
        self.post("/api/runners/register", &body).await
    }

    /// A heartbeat, without a body, as runners send it.
    pub async fn heartbeat(&self, runner: &str) -> Answer {
        self.send(self.request(Method::POST, &format!("/api/runners/{runner}/heartbeat"))).await
    }

    /// Creates a pipeline, in either dialect. If the server has no room for one more script, nothing is stored, and
    /// the request is repeated.
    pub async fn create_pipeline(&self, body: &Value) -> Answer {
        self.send_script(|| self.request(Method::POST, CREATE_PIPELINE).json(body)).await
    }

    /// Revises a pipeline, repeated as [`Self::create_pipeline`] is.
    pub async fn revise(&self, pipeline: &str, body: &Value) -> Answer {
        let path = format!("/api/pipeline/{pipeline}");
        self.send_script(|| self.request(Method::PUT, &path).json(body)).await
    }

    /// Launches a job.
    pub async fn launch(&self, pipeline: &str, parameters: &Value) -> Answer {
        self.post("/api/pipeline/launch", &json!({"pipeline_id": pipeline, "parameters": parameters})).await
    }

    /// The jobs that a runner may claim; without a name (dialect B), all jobs.
    pub async fn scheduled(&self, runner: Option<&str>) -> Answer {
        let query = runner.map(|runner| format!("?runner_id={runner}")).unwrap_or_default();
        self.get(&format!("/api/jobs/scheduled{query}")).await
    }

    /// Dialect A: claims a job.
    pub async fn claim(&self, job: &str, runner: &str) -> Answer {
        self.post(&format!("/api/jobs/{job}/claim"), &json!({"runner_id": runner})).await
    }

    /// Claims a job for a runner that echoes its lease.
    pub async fn claim_fencing(&self, job: &str, runner: &str) -> Answer {
        self.post(&format!("/api/jobs/{job}/claim"), &json!({"runner_id": runner, "fencing": true})).await
    }

    /// The same client, echoing the lease of this answer to a claim.
    #[must_use]
    pub fn holding(&self, claimed: &Value) -> Self {
        self.with("rivet-lease", claimed["lease_id"].as_str().expect("a claim is answered with a lease"))
    }

    /// Dialect B: claims a job.
    pub async fn execute(&self, job: &str, runner: &str) -> Answer {
        self.post(&format!("/api/jobs/execute/{job}"), &json!({"runner_id": runner})).await
    }

    /// Next-claim, which waits for a job.
    pub async fn claim_next(&self, runner: &str, wait_ms: u64) -> Answer {
        self.post("/api/jobs/claim", &json!({"runner_id": runner, "wait_ms": wait_ms})).await
    }

    /// Reports a status.
    pub async fn set_status(&self, job: &str, status: &str) -> Answer {
        let request = self.request(Method::PUT, &format!("/api/jobs/{job}/status"));
        self.send(request.json(&json!({"status": status}))).await
    }

    /// Dialect A: appends to the log.
    pub async fn append_logs(&self, job: &str, entries: &Value) -> Answer {
        self.post(&format!("/api/jobs/{job}/logs"), &json!({"entries": entries})).await
    }

    /// Dialect B: appends to the log, as a bare array.
    pub async fn append_bare_logs(&self, job: &str, entries: &Value) -> Answer {
        self.post(&format!("/api/jobs/{job}/logs"), entries).await
    }

    /// Dialect A: ends a job.
    pub async fn complete(&self, job: &str, result: &Value) -> Answer {
        self.post(&format!("/api/jobs/{job}/complete"), &json!({"result": result})).await
    }

    /// Dialect B: ends a job, with a status beside the result.
    pub async fn complete_as(&self, job: &str, status: &str, result: &Value) -> Answer {
        self.post(&format!("/api/jobs/{job}/complete"), &json!({"status": status, "result": result})).await
    }

    /// Cancels a job.
    pub async fn cancel(&self, job: &str) -> Answer {
        self.post(&format!("/api/jobs/{job}/cancel"), &json!({})).await
    }

    /// Cancels a job with `force`.
    pub async fn force_cancel(&self, job: &str) -> Answer {
        self.post(&format!("/api/jobs/{job}/cancel"), &json!({"force": true})).await
    }

    /// Launches an ended job again.
    pub async fn retry(&self, job: &str) -> Answer {
        self.post(&format!("/api/jobs/{job}/retry"), &json!({})).await
    }

    /// One job.
    pub async fn job(&self, job: &str) -> Answer {
        self.get(&format!("/api/jobs/{job}")).await
    }

    /// A job's log.
    pub async fn logs(&self, job: &str) -> Answer {
        self.get(&format!("/api/jobs/{job}/logs")).await
    }

    /// The history of a job.
    pub async fn history(&self, job: &str) -> Answer {
        self.get(&format!("/api/jobs/{job}/events")).await
    }

    /// Gets a path.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// Deletes what is at a path.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Sends bytes with a content type, well-formed or not; creating a pipeline is repeated as by
    /// [`Self::create_pipeline`].
    pub async fn send_raw(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let body = body.into();
        let request =
            || self.request(method.clone(), path).header(CONTENT_TYPE, content_type).body(body.clone());
        if path == CREATE_PIPELINE { self.send_script(request).await } else { self.send(request()).await }
    }

    async fn send_script(&self, request: impl Fn() -> RequestBuilder) -> Answer {
        eventually("room for a script", async || {
            let answer = self.send(request()).await;
            (!answer.has_no_room()).then_some(answer)
        })
        .await
    }

    /// A request to a path, with the headers of this client.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).headers(self.headers.clone())
    }

    /// Sends a request, and panics if the server does not answer.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.expect("the server answers")
    }

    /// Posts JSON, and repeats that until there is an answer other than that the server is unavailable.
    pub async fn insist(&self, path: &str, body: &Value) -> Answer {
        self.insist_counting(path, body).await.0
    }

    /// As [`Self::insist`]; also returns the number of tries.
    pub async fn insist_counting(&self, path: &str, body: &Value) -> (Answer, usize) {
        let mut tries = 0;
        let answer = eventually(path, async || {
            tries += 1;
            let answer = self.try_send(self.request(Method::POST, path).json(body)).await.ok()?;
            (answer.status < 500).then_some(answer)
        })
        .await;
        (answer, tries)
    }

    /// Sends a request to a server that may be down, or die meanwhile.
    pub async fn try_send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }
}
