//! Bad input: every refusal is JSON that old clients can print and new ones can branch on, and nothing is stored.

mod bad_input;

use futures_util::future::join_all;
use reqwest::Method;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{
    UNKNOWN, WEBHOOK_SECRET, entry, launched, new_claimed_job, new_pipeline, pipeline,
};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rivet_tests::verify::head;
use serde_json::{Value, json};

use bad_input::{malformed, refused_by_rule};

on_both_stores! {
    bad_input_is_refused_and_nothing_is_stored,
    what_may_be_left_out_may_be_null,
    a_body_that_is_too_large_is_refused,
    an_overloaded_server_says_when_to_come_back,
    a_large_batch_is_accepted,
}

const JSON: &str = "application/json";

async fn bad_input_is_refused_and_nothing_is_stored(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let before = head(&api).await;
    for bad in malformed().into_iter().chain(refused_by_rule(&job)) {
        let said = format!("{} {} {}", bad.method, bad.path, String::from_utf8_lossy(&bad.body));
        let answer = api.send_raw(bad.method, &bad.path, bad.content_type, bad.body).await;
        assert_eq!(answer.status, bad.status, "{said}: {}", answer.text);
        answer.assert_problem();
    }
    assert_eq!(head(&api).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_url_has_wrong_is_named() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let api = app.client();
    for (path, code, said) in [
        ("/api/events?after=-1", "invalid_query", "after: invalid digit"),
        ("/api/jobs?limit=0", "invalid_query", "limit: must be from 1 to 1000"),
        ("/api/jobs?since=", "invalid_query", "since: must be a time such as 2026-01-31T12:00:00Z"),
        ("/api/runners?until=2026-01-31T13:00:00+01:00", "invalid_query", "until: must be a time such as"),
        ("/api/jobs?at=yesterday", "invalid_query", "at: must be a position or a time such as"),
        ("/api/jobs/xyz", "invalid_path", "Cannot parse `id` with value `xyz`"),
    ] {
        let problem = api.send_raw(Method::GET, path, JSON, Vec::new()).await.expect_refusal(400, code);
        assert!(problem["error"].as_str().is_some_and(|error| error.starts_with(said)), "{problem}");
    }
    let problem = api.get("/api/jobs/").await.expect_refusal(404, "unknown_path");
    assert_eq!(problem["error"], "there is nothing at /api/jobs/; no path of the API ends with a slash");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_is_no_object_and_the_member_is_named() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let (on_job, script) = (|what: &str| format!("/api/jobs/{job}/{what}"), "return {}");
    let create = "/api/pipeline/create".to_owned();
    let no_object = "invalid type: sequence, expected an object";
    for (method, path, body, said) in [
        (Method::POST, create.clone(), json!(["p", null, script]), no_object),
        (
            Method::POST,
            create.clone(),
            json!({"script": script, "config": [null, null]}),
            "config: invalid type",
        ),
        (Method::POST, create, json!({"script": script, "tags": [["os", "linux"]]}), "tags[0]: invalid type"),
        (Method::POST, "/api/pipeline/launch".to_owned(), json!([UNKNOWN, {}]), no_object),
        (Method::POST, "/api/runners/register".to_owned(), json!(["r", []]), no_object),
        (Method::POST, "/api/jobs/claim".to_owned(), json!(["r", 0]), no_object),
        (Method::POST, on_job("claim"), json!(["r"]), no_object),
        (Method::PUT, on_job("status"), json!(["Running"]), no_object),
        (Method::POST, on_job("complete"), json!(["Succeeded", null]), no_object),
        (Method::POST, on_job("complete"), json!({"result": [true, 0]}), "result: invalid type"),
        (Method::POST, on_job("cancel"), json!([true]), no_object),
        (Method::POST, on_job("logs"), json!([["2026-01-31T12:00:00Z", "Info", "x"]]), "[0]: invalid type"),
        (Method::POST, "/api/webhooks".to_owned(), json!(["http://example.com/", "whsec_x"]), no_object),
    ] {
        let answer = api.send_raw(method, &path, JSON, body.to_string().into_bytes()).await;
        let problem = answer.expect_refusal(422, "invalid_body");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(said), "{path} {body}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_number_may_be_spelled_with_a_point() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let api = app.client();
    let mut body = pipeline("p");
    body["config"] = json!({"max_retries": 2.0, "timeout_seconds": 6e1});
    let created = api.create_pipeline(&body).await.expect(200);
    assert_eq!(
        (&created["config"]["max_retries"], &created["config"]["timeout_seconds"]),
        (&json!(2), &json!(60))
    );
    body["config"]["max_retries"] = json!(2.5);
    api.create_pipeline(&body).await.expect_refusal(422, "invalid_body");
}

async fn what_may_be_left_out_may_be_null(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let job = launched(&api, &pipeline).await;
    let claim = json!({"runner_id": "r", "fencing": null});
    api.post(&format!("/api/jobs/{job}/claim"), &claim).await.expect(200);
    api.post(&format!("/api/jobs/{job}/cancel"), &json!({"force": null, "reason": null})).await.expect(204);
    api.post("/api/jobs/claim", &json!({"runner_id": "r", "wait_ms": null})).await.expect(204);
    let webhook = json!({
        "url": "https://example.com/hook", "secret": WEBHOOK_SECRET,
        "types": null, "pipeline_id": null, "batch_size": null, "after": null,
    });
    assert_eq!(api.post("/api/webhooks", &webhook).await.expect(201)["types"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_is_told_the_right_ones() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let api = app.client();
    for (method, path, allowed) in [
        (Method::PUT, "/api/jobs", "GET,HEAD"),
        (Method::GET, "/api/pipeline/launch", "POST"),
        (Method::POST, "/api/runners/r", "GET,HEAD,DELETE"),
        (Method::PUT, "/api/runners/r", "GET,HEAD,DELETE"),
        (Method::PUT, "/api/runners/r/heartbeat", "GET,HEAD,DELETE,POST"),
    ] {
        let answer = api.send_raw(method.clone(), path, JSON, b"{}".to_vec()).await;
        answer.expect_refusal(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_body_is_refused() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let api = app.client();
    let body = json!({"runner_id": "r"});
    let compressed = api.with("content-encoding", "gzip").post("/api/runners/register", &body).await;
    compressed.expect_refusal(415, "unsupported_media_type");
    api.with("content-encoding", "Identity").post("/api/runners/register", &body).await.expect(200);
}

async fn a_body_that_is_too_large_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let body = json!([entry(&"x".repeat(17 << 20))]).to_string();
    let request =
        api.request(Method::POST, &format!("/api/jobs/{job}/logs")).header("content-type", JSON).body(body);
    let answer = api.try_send(request).await.expect("the server reads on until it can be heard");
    answer.expect_refusal(413, "payload_too_large");
    assert_eq!(api.logs(&job).await.expect(200), json!([]));
}

async fn a_large_batch_is_accepted(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let entries: Vec<Value> = (0..5_000).map(|number| entry(&format!("line {number}"))).collect();
    api.append_logs(&job, &json!(entries)).await.expect(201);
    assert_eq!(api.logs(&job).await.expect(200).as_array().map(Vec::len), Some(5_000));
}

/// With an append queue of one, and more simultaneous launches than it holds: the refused ones are told when to come
/// back, and leave nothing behind.
async fn an_overloaded_server_says_when_to_come_back(kind: StoreKind) {
    let app = TestApp::start_with(kind, &["--append-queue", "1"]).await;
    let api = app.client();
    let id = new_pipeline(&api).await;
    let (mut accepted, mut refused, parameters) = (0, 0, json!({}));
    while refused == 0 {
        for answer in join_all((0..64).map(|_| api.launch(&id, &parameters))).await {
            if answer.status == 200 {
                accepted += 1;
            } else {
                answer.expect_refusal(503, "overloaded");
                assert_eq!(answer.header("retry-after"), Some("1"));
                refused += 1;
            }
        }
    }
    let jobs = api.get(&format!("/api/jobs/pipeline/{id}?limit=1000")).await.expect(200);
    assert_eq!(jobs.as_array().map(Vec::len), Some(accepted));
}
