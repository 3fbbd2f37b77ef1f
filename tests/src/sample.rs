//! Pipelines, results and log entries to work with.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::client::Client;

/// A definition with this name and one stage; `more` is added to its table.
pub fn script(name: &str, more: &str) -> String {
    format!(
        "return pipeline.define({{ name = '{name}', {more}\n  stages = {{ {{ name = 'only', script = function() end }} }} }})"
    )
}

/// Dialect A's request for a pipeline.
pub fn pipeline(name: &str) -> Value {
    json!({
        "name": name, "description": "a pipeline", "script": script(name, ""), "required_modules": [],
        "tags": ["nightly"], "config": {"timeout_seconds": 600, "max_retries": 0, "env_vars": {"LEVEL": "1"}},
    })
}

/// A successful result.
pub fn success() -> Value {
    json!({"success": true, "exit_code": 0, "output": {"artifacts": 2}, "error_message": null})
}

/// A failed result.
pub fn failure() -> Value {
    json!({"success": false, "exit_code": 3, "output": null, "error_message": "exit code 3"})
}

/// A log entry.
pub fn entry(message: &str) -> Value {
    json!({"timestamp": "2026-01-02T03:04:05.678Z", "level": "Info", "message": message})
}

/// An id that nothing has.
pub const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

/// The secret of a webhook.
pub const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A new pipeline; its id.
pub async fn new_pipeline(client: &Client) -> String {
    id(&client.create_pipeline(&pipeline("build")).await.expect(200))
}

/// A new pipeline with this `config`; its id.
pub async fn new_pipeline_with(client: &Client, config: &Value) -> String {
    let mut request = pipeline("build");
    request["config"] = config.clone();
    id(&client.create_pipeline(&request).await.expect(200))
}

/// A new pipeline that demands these capabilities; its id.
pub async fn new_demanding_pipeline(client: &Client, demands: &[&str]) -> String {
    let mut request = pipeline("demanding");
    request["required_modules"] = json!(demands);
    id(&client.create_pipeline(&request).await.expect(200))
}

/// A new job of a pipeline; its id.
pub async fn launched(client: &Client, pipeline: &str) -> String {
    id(&client.launch(pipeline, &json!({})).await.expect(200))
}

/// The types of a job's events, in order, and the events.
pub async fn history(client: &Client, job: &str) -> (Vec<String>, Vec<Value>) {
    let history = client.history(job).await.expect(200);
    let events = history["events"].as_array().expect("events are a list").clone();
    let types = events.iter().map(|event| event["type"].as_str().expect("a type is text").to_owned());
    (types.collect(), events)
}

/// Checks that the server recorded `event` because of `cause`, which this request led to.
#[track_caller]
pub fn assert_follows(event: &Value, cause: &Value, request: &str) {
    let metadata = &event["metadata"];
    for member in ["request_id", "correlation_id"] {
        assert_eq!((&metadata[member], &cause["metadata"][member]), (&json!(request), &json!(request)));
    }
    assert_eq!(metadata["causation_id"], cause["event_id"], "{event}");
    assert!(metadata["actor"].as_str().is_some_and(|actor| actor.starts_with("process:")), "{event}");
}

/// A new job of a new pipeline; its id.
pub async fn new_job(client: &Client) -> String {
    let pipeline = new_pipeline(client).await;
    launched(client, &pipeline).await
}

/// A new job that `runner` has claimed; its id.
pub async fn new_claimed_job(client: &Client, runner: &str) -> String {
    let job = new_job(client).await;
    client.claim(&job, runner).await.expect(200);
    job
}

/// Checks that everything is refused that the former holder of a job sends.
pub async fn assert_lost(holder: &Client, runner: &str, job: &str) {
    holder.set_status(job, "Running").await.expect_refusal(409, "lease_lost");
    holder.append_logs(job, &json!([entry("late")])).await.expect_refusal(409, "lease_lost");
    holder.complete(job, &failure()).await.expect_refusal(409, "lease_lost");
    holder.complete(job, &failure()).await.expect_refusal(409, "lease_lost");
    holder.heartbeat(runner).await.expect_refusal(409, "lease_lost");
}

/// A new job that `r1` has run to its end, successfully; its id.
pub async fn new_ended_job(client: &Client) -> String {
    let job = new_claimed_job(client, "r1").await;
    client.set_status(&job, "Running").await.expect(204);
    client.complete(&job, &success()).await.expect(204);
    job
}

/// The `id` of a resource.
#[track_caller]
pub fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap_or_else(|| panic!("no id in {resource}")).to_owned()
}

/// The `id`s of a list.
#[track_caller]
pub fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap_or_else(|| panic!("no list: {list}")).iter().map(id).collect()
}

/// The messages of a log.
#[track_caller]
pub fn messages(log: &Value) -> Vec<&str> {
    let log = log.as_array().unwrap_or_else(|| panic!("no list: {log}"));
    log.iter().map(|entry| entry["message"].as_str().expect("a message is text")).collect()
}

/// A time of a body, in microseconds since 1970.
#[track_caller]
pub fn micros(time: &Value) -> i64 {
    let text = time.as_str().unwrap_or_else(|| panic!("no time: {time}"));
    DateTime::parse_from_rfc3339(text).expect("times are RFC 3339").timestamp_micros()
}
