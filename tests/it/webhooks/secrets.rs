//! Secrets of webhooks: they are never shown to anybody, and are deleted with their webhook.

use rivet_events::Position;
use rivet_events::deliveries::Deliveries;
use rivet_events::id::WebhookId;
use rivet_tests::on_both_stores;
use rivet_tests::receiver::Receiver;
use rivet_tests::sample::{WEBHOOK_SECRET, id, new_job};
use rivet_tests::server::{SWEEP_OFTEN, Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::wait::eventually;
use serde_json::{Value, json};

use super::{ALLOW, arrivals, create, status, webhook};

on_both_stores! {
    nobody_gets_to_see_the_secret,
    a_secret_without_a_webhook_is_deleted,
    a_webhook_without_a_usable_secret_is_paused_and_says_why,
}

async fn nobody_gets_to_see_the_secret(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[ALLOW, "--log-filter", "trace"]).await;
    let api = app.client();
    let receiver = Receiver::start().await;
    let created = api.post("/api/webhooks", &webhook(&receiver, &json!({}))).await;
    let webhook = id(&created.expect(201));
    new_job(&api).await;
    arrivals(&receiver, 1).await;
    let mut texts = vec![created.text, app.server.log()];
    for path in [
        "/api/webhooks".to_owned(),
        format!("/api/webhooks/{webhook}"),
        format!("/api/webhooks/{webhook}/deliveries"),
        "/api/events".to_owned(),
    ] {
        texts.push(api.get(&path).await.text);
    }
    let key = WEBHOOK_SECRET.strip_prefix("whsec_").unwrap();
    for text in texts {
        assert!(!text.contains(key), "{text}");
    }
}

/// As after a crash between storing the row and appending the event.
async fn a_secret_without_a_webhook_is_deleted(kind: StoreKind) {
    let store = Store::create(kind).await;
    let receiver = Receiver::start().await;
    let server = Server::start(&store, &[ALLOW]).await;
    let webhook: WebhookId = create(&server.client(), &receiver, &json!({})).await.parse().unwrap();
    server.terminate().await;
    let database = store.open().await;
    let kept = Deliveries::new(&database);
    let (orphan, on_its_way): (WebhookId, _) =
        ("0197f6a0-2c11-7c3e-8a55-0a1b2c3d4e5f".parse().unwrap(), WebhookId::generate());
    for id in [orphan, on_its_way] {
        kept.begin(id, &WEBHOOK_SECRET.to_owned().into(), Position(0), "{}").await.unwrap();
    }
    let _server = Server::start(&store, &[ALLOW, SWEEP_OFTEN]).await;
    eventually("the secret to be deleted", async || kept.find(orphan).await.unwrap().is_none().then_some(()))
        .await;
    for id in [webhook, on_its_way] {
        assert!(kept.find(id).await.unwrap().is_some(), "{id}");
    }
    database.close().await;
}

async fn a_webhook_without_a_usable_secret_is_paused_and_says_why(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[ALLOW]).await;
    let api = app.client();
    let receiver = Receiver::start().await;
    receiver.answer_always(Some("410 Gone"));
    let webhook = create(&api, &receiver, &json!({})).await;
    new_job(&api).await;
    status(&api, &webhook, "paused").await;
    for (change, error) in [
        ("update webhook_deliveries set secret = 'short'", "its secret is not valid"),
        ("delete from webhook_deliveries", "its secret is not there"),
    ] {
        app.store.execute(change).await;
        api.post(&format!("/api/webhooks/{webhook}/resume"), &Value::Null).await.expect(204);
        let paused = &status(&api, &webhook, "paused").await["paused"];
        assert_eq!((&paused["cause"], &paused["error"]), (&json!("secret_missing"), &json!(error)));
    }
}
