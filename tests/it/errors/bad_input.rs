//! Requests that are refused, and the status of each refusal.

use reqwest::Method;
use rivet_tests::sample::{UNKNOWN, pipeline};
use serde_json::{Value, json};

use super::JSON;

/// A bad request, and the status with which it is refused.
pub(super) struct Bad {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
    pub(super) status: u16,
}

fn bad(status: u16, method: Method, path: impl Into<String>, body: &Value) -> Bad {
    Bad { method, path: path.into(), content_type: JSON, body: body.to_string().into_bytes(), status }
}

fn bad_bytes(status: u16, path: &str, content_type: &'static str, body: &[u8]) -> Bad {
    Bad { method: Method::POST, path: path.to_owned(), content_type, body: body.to_vec(), status }
}

fn bad_get(status: u16, path: impl Into<String>) -> Bad {
    Bad { method: Method::GET, path: path.into(), content_type: JSON, body: Vec::new(), status }
}

/// What cannot be read, or asks for what is not there.
pub(super) fn malformed() -> Vec<Bad> {
    const REGISTER: &str = "/api/runners/register";
    vec![
        bad_bytes(400, REGISTER, JSON, b"{"),
        bad_bytes(400, REGISTER, JSON, b""),
        bad_bytes(400, REGISTER, JSON, b"{\"runner_id\": \"\xff\"}"),
        bad_bytes(400, REGISTER, JSON, b"{\"runner_id\": \"r\", \"unknown\": \"\xff\"}"),
        bad_bytes(400, "/api/pipeline/create", JSON, b"not json"),
        bad_bytes(415, REGISTER, "text/plain", b"{\"runner_id\": \"r\"}"),
        bad_bytes(415, "/api/pipeline/create", "application/x-www-form-urlencoded", b"a=b"),
        bad_get(400, "/api/jobs/not-a-uuid"),
        bad_get(400, "/api/pipeline/not-a-uuid"),
        bad_get(400, "/api/jobs/pipeline/not-a-uuid"),
        bad_get(400, "/api/jobs?limit=0"),
        bad_get(400, "/api/jobs?limit=1001"),
        bad_get(400, "/api/jobs?limit=ten"),
        bad_get(400, "/api/jobs?status=Sleeping"),
        bad_get(400, "/api/events?after=-1"),
        bad_get(400, "/api/events?wait_ms=-1"),
        bad_get(404, format!("/api/jobs/{UNKNOWN}")),
        bad_get(404, format!("/api/pipeline/{UNKNOWN}")),
        bad_get(404, "/api/runners/nobody"),
        bad_get(404, "/api/nothing"),
        bad_get(404, "/nothing"),
        bad(404, Method::DELETE, format!("/api/pipeline/{UNKNOWN}"), &json!({})),
        bad(404, Method::DELETE, "/api/runners/nobody", &json!({})),
        bad(404, Method::POST, "/api/pipeline/launch", &json!({"pipeline_id": UNKNOWN, "parameters": {}})),
        bad(405, Method::PATCH, "/api/jobs", &json!({})),
        bad(405, Method::GET, "/api/pipeline/create", &json!({})),
        bad(405, Method::POST, "/api/health", &json!({})),
    ]
}

/// How `serde_json` marks a value that is no object.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// An object nested to this depth.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!({"a": inner}))
}

/// What is JSON, but not what the endpoint takes.
pub(super) fn refused_by_rule(job: &str) -> Vec<Bad> {
    let register = |id: Value| bad(422, Method::POST, "/api/runners/register", &json!({"runner_id": id}));
    let create = |change: &dyn Fn(&mut Value)| {
        let mut body = pipeline("p");
        change(&mut body);
        bad(422, Method::POST, "/api/pipeline/create", &body)
    };
    let on_job =
        |method: Method, what: &str, body: &Value| bad(422, method, format!("/api/jobs/{job}/{what}"), body);
    vec![
        register(json!(null)),
        register(json!(7)),
        register(json!("")),
        register(json!("a\0b")),
        register(json!("r".repeat(256))),
        bad(422, Method::POST, "/api/runners/register", &json!([])),
        bad(422, Method::POST, "/api/runners/register", &json!({"runner_id": "x", "capabilities": "docker"})),
        create(&|body| body["name"] = json!("")),
        create(&|body| body["name"] = json!("a\0b")),
        create(&|body| body["name"] = json!(["p"])),
        create(&|body| body["script"] = json!(null)),
        create(&|body| body["config"]["max_retries"] = json!(-1)),
        create(&|body| body["config"]["timeout_seconds"] = json!("soon")),
        create(&|body| body["config"]["timeout_seconds"] = json!(86_401)),
        bad(422, Method::POST, "/api/pipeline/launch", &json!({"pipeline_id": "x", "parameters": {}})),
        bad(422, Method::POST, "/api/pipeline/launch", &json!({"parameters": {}})),
        bad(
            422,
            Method::POST,
            "/api/pipeline/launch",
            &json!({"pipeline_id": UNKNOWN, "parameters": nested(64)}),
        ),
        on_job(Method::PUT, "status", &json!({"status": "Sleeping"})),
        on_job(Method::PUT, "status", &json!({"status": "Queued"})),
        on_job(Method::PUT, "status", &json!({})),
        on_job(Method::POST, "logs", &json!({"entries": 7})),
        on_job(Method::POST, "logs", &json!([{"level": "Info"}])),
        on_job(
            Method::POST,
            "logs",
            &json!([{"timestamp": "+10000-01-01T00:00:00Z", "level": "Info", "message": "x"}]),
        ),
        on_job(Method::POST, "complete", &json!({})),
        on_job(
            Method::POST,
            "complete",
            &json!({"result": {"success": true, "exit_code": 0, "output": {"a": 1, RAW_VALUE: "1"}}}),
        ),
        on_job(
            Method::POST,
            "complete",
            &json!({"result": {"success": true, "exit_code": 0, "output": nested(63)}}),
        ),
        on_job(Method::POST, "complete", &json!({"result": {"success": "yes"}})),
        on_job(
            Method::POST,
            "complete",
            &json!({"result": {"success": true, "exit_code": 4_294_967_296_u64}}),
        ),
        on_job(Method::POST, "claim", &json!({"runner_id": ""})),
        bad(404, Method::POST, format!("/api/jobs/{UNKNOWN}/claim"), &json!({"runner_id": "misled"})),
        bad(404, Method::POST, format!("/api/jobs/execute/{UNKNOWN}"), &json!({"runner_id": "misled"})),
        bad(422, Method::POST, "/api/jobs/claim", &json!({"runner_id": "r", "wait_ms": -1})),
    ]
}
