//! Deliveries that fail: they are repeated, a webhook that goes on failing is paused, and no redirect is followed.

use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::receiver::Receiver;
use rivet_tests::sample::{launched, new_job, new_pipeline};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rivet_tests::verify::recorded;
use rivet_tests::wait::eventually;
use serde_json::{Value, json};

use super::{ALLOW, arrivals, create, deliveries, status};

on_both_stores! {
    a_failed_delivery_is_repeated_before_the_next_one,
    a_webhook_that_fails_for_too_long_is_paused_and_can_be_resumed,
    a_receiver_that_is_gone_is_not_asked_again,
    a_redirect_is_not_followed,
}

/// Its deliveries, once one has failed.
pub(super) async fn failing(api: &Client, webhook: &str) -> Value {
    eventually("a failure", async || {
        let deliveries = deliveries(api, webhook).await;
        (deliveries["failures"].as_u64()? > 0).then_some(deliveries)
    })
    .await
}

async fn a_failed_delivery_is_repeated_before_the_next_one(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[ALLOW]).await;
    let api = app.client();
    let receiver = Receiver::start().await;
    receiver.answer_next(["500 Oops", "429 Too Many Requests"]);
    let webhook = create(&api, &receiver, &json!({"types": ["job.launched"]})).await;
    let pipeline = new_pipeline(&api).await;
    for _ in 0..2 {
        launched(&api, &pipeline).await;
    }
    let failing = failing(&api, &webhook).await;
    assert!(failing["failing_since"].is_string() && failing["next_attempt_at"].is_string(), "{failing}");
    let first = failing["attempts"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&first["status"], &first["error"]),
        (&json!(500), &json!("it answered 500 Internal Server Error"))
    );
    let came = arrivals(&receiver, 4).await;
    let ids: Vec<&str> = came.iter().map(|delivery| delivery.headers["webhook-id"].as_str()).collect();
    assert_eq!(came.iter().map(|delivery| delivery.status).collect::<Vec<_>>(), [500, 429, 204, 204]);
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
}

async fn a_webhook_that_fails_for_too_long_is_paused_and_can_be_resumed(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[ALLOW, "--webhook-retry-for", "1ms"]).await;
    let api = app.client();
    let receiver = Receiver::start().await;
    receiver.answer_always(Some("503 Later"));
    let webhook = create(&api, &receiver, &json!({"types": ["job.launched"]})).await;
    let job = new_job(&api).await;
    let paused = status(&api, &webhook, "paused").await;
    assert_eq!(paused["paused"]["cause"], "failing");
    assert_eq!(paused["paused"]["error"], "it answered 503 Service Unavailable");
    let told = recorded(&api, "webhook.paused").await;
    assert_eq!(told[0]["payload"]["position"], paused["paused"]["position"]);
    // The events that it missed meanwhile are delivered.
    new_job(&api).await;
    receiver.answer_always(None);
    let before = receiver.received().len();
    api.post(&format!("/api/webhooks/{webhook}/resume"), &Value::Null).await.expect(204);
    let came = arrivals(&receiver, before + 2).await.split_off(before);
    assert_eq!(came[0].json()["subject"], format!("job/{job}"));
    assert!(came[0].position() < came[1].position());
    status(&api, &webhook, "active").await;
    app.verify().await;
}

async fn a_receiver_that_is_gone_is_not_asked_again(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[ALLOW]).await;
    let api = app.client();
    let receiver = Receiver::start().await;
    receiver.answer_always(Some("410 Gone"));
    let webhook = create(&api, &receiver, &json!({})).await;
    new_job(&api).await;
    assert_eq!(status(&api, &webhook, "paused").await["paused"]["cause"], "gone");
    assert_eq!(receiver.received().len(), 1);
    let metrics = api.get("/metrics").await.text;
    for told in [
        r#"rivet_webhooks{status="paused"} 1"#,
        r#"rivet_webhooks{status="active"} 0"#,
        r#"rivet_webhook_attempts_total{outcome="failed"} 1"#,
        r#"rivet_webhook_attempts_total{outcome="delivered"} 0"#,
    ] {
        assert!(metrics.lines().any(|line| line == told), "{told} is not in {metrics}");
    }
}

async fn a_redirect_is_not_followed(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[ALLOW]).await;
    let api = app.client();
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let head = format!("307 Temporary Redirect\r\nlocation: {}", elsewhere.url("/"));
    receiver.answer_next([head.as_str()]);
    create(&api, &receiver, &json!({"types": ["job.launched"]})).await;
    new_job(&api).await;
    let came = arrivals(&receiver, 2).await;
    assert_eq!((came[0].status, came[1].status), (307, 204));
    assert!(elsewhere.received().is_empty());
}
