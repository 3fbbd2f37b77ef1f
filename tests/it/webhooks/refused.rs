//! Webhooks that are refused, and addresses that nothing is delivered to.

use rivet_tests::on_both_stores;
use rivet_tests::receiver::Receiver;
use rivet_tests::sample::{UNKNOWN, WEBHOOK_SECRET, id, new_job};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use serde_json::{Value, json};

use super::failures::failing;

on_both_stores! {
    private_addresses_are_refused,
    what_is_no_webhook_is_refused,
}

async fn private_addresses_are_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let receiver = Receiver::start().await;
    let port = receiver.address().rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "10.1.2.3", "169.254.169.254"] {
        let body = json!({"url": format!("http://{host}:{port}/"), "secret": WEBHOOK_SECRET});
        api.post("/api/webhooks", &body).await.expect_refusal(422, "private_address");
    }
    // A host name is checked at the delivery, when it is resolved.
    let body = json!({"url": format!("http://localhost:{port}/"), "secret": WEBHOOK_SECRET});
    let webhook = id(&api.post("/api/webhooks", &body).await.expect(201));
    new_job(&api).await;
    let failing = failing(&api, &webhook).await;
    let error = failing["attempts"][0]["error"].as_str().unwrap();
    assert!(error.contains("localhost has no public address"), "{error}");
    assert!(receiver.received().is_empty());
}

async fn what_is_no_webhook_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let url = "https://example.com/hook";
    for (body, code) in [
        (json!({"url": url}), "invalid_body"),
        (json!({"url": "example.com", "secret": WEBHOOK_SECRET}), "invalid_webhook"),
        (json!({"url": "ftp://example.com/", "secret": WEBHOOK_SECRET}), "invalid_webhook"),
        (json!({"url": "https://user:word@example.com/", "secret": WEBHOOK_SECRET}), "invalid_webhook"),
        (json!({"url": format!("{url}{}", "x".repeat(2_048)), "secret": WEBHOOK_SECRET}), "invalid_webhook"),
        (json!({"url": url, "secret": "swordfish"}), "invalid_webhook"),
        (json!({"url": url, "secret": WEBHOOK_SECRET, "types": ["job.finished"]}), "invalid_webhook"),
        (json!({"url": url, "secret": WEBHOOK_SECRET, "after": 1_000_000}), "invalid_webhook"),
        (json!({"url": url, "secret": WEBHOOK_SECRET, "batch_size": 0}), "invalid_webhook"),
        (json!({"url": url, "secret": WEBHOOK_SECRET, "batch_size": 257}), "invalid_webhook"),
        (json!({"url": url, "secret": WEBHOOK_SECRET, "pipeline_id": "x"}), "invalid_body"),
    ] {
        let refused = api.post("/api/webhooks", &body).await;
        refused.expect_refusal(422, code);
        assert!(!refused.text.contains("swordfish"), "{}", refused.text);
    }
    let of_unknown = json!({"url": url, "secret": WEBHOOK_SECRET, "pipeline_id": UNKNOWN});
    api.post("/api/webhooks", &of_unknown).await.expect_refusal(404, "pipeline_not_found");
    let resume = format!("/api/webhooks/{UNKNOWN}/resume");
    api.post(&resume, &Value::Null).await.expect_refusal(404, "webhook_not_found");
}
