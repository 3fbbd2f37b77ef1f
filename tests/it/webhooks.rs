//! Webhooks: signed, at least once and in order, through failures, restarts and hostile receivers.

mod batches;
mod failures;
mod refused;
mod secrets;

use std::collections::BTreeSet;

use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::receiver::{Received, Receiver};
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{WEBHOOK_SECRET, id, launched, new_ended_job, new_job, new_pipeline, success};
use rivet_tests::server::{Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::events;
use rivet_tests::wait::{eventually, until_shown};
use serde_json::{Value, json};

on_both_stores! {
    every_wanted_event_is_delivered_in_order,
    a_delivery_is_a_signed_cloud_event,
    a_filter_lets_pass_what_it_names,
    deliveries_go_on_after_a_restart,
    a_webhook_does_not_tell_of_itself,
    a_deleted_webhook_is_gone,
}

const ALLOW: &str = "--allow-private-webhooks";

fn webhook(receiver: &Receiver, more: &Value) -> Value {
    let mut body = json!({"url": receiver.url("/hook?tenant=1"), "secret": WEBHOOK_SECRET});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn create(api: &Client, receiver: &Receiver, more: &Value) -> String {
    id(&api.post("/api/webhooks", &webhook(receiver, more)).await.expect(201))
}

async fn deliveries(api: &Client, webhook: &str) -> Value {
    api.get(&format!("/api/webhooks/{webhook}/deliveries")).await.expect(200)
}

/// The deliveries, once there are this many.
async fn arrivals(receiver: &Receiver, count: usize) -> Vec<Received> {
    receiver.eventually("the deliveries", |came| (came.len() >= count).then(|| came.to_vec())).await
}

async fn status(api: &Client, webhook: &str, status: &str) -> Value {
    until_shown(api, &format!("/api/webhooks/{webhook}"), "status", status).await
}

async fn every_wanted_event_is_delivered_in_order(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[ALLOW]).await;
    let api = app.client();
    new_ended_job(&api).await;
    let receiver = Receiver::start().await;
    let from_now = create(&api, &receiver, &json!({})).await;
    let head = events(&api).await.len();
    for _ in 0..5 {
        new_ended_job(&api).await;
    }
    let expected: Vec<Value> = events(&api).await.split_off(head);
    let positions: Vec<_> = expected.iter().map(|event| event["position"].as_u64().unwrap()).collect();
    let seen = receiver
        .eventually("every event", |came| {
            let firsts = firsts(came.iter().map(Received::position));
            (firsts.len() >= positions.len()).then_some(firsts)
        })
        .await;
    assert_eq!(seen, positions);
    let told = eventually("the progress to be saved", async || {
        let told = deliveries(&api, &from_now).await;
        (told["delivered"] == expected.len()).then_some(told)
    })
    .await;
    assert_eq!((&told["position"], &told["failing_since"]), (&told["head"], &Value::Null));
    assert_eq!(told["attempts"].as_array().unwrap().len(), 20);
    // With `after`, from the beginning of the log.
    let other = Receiver::start().await;
    create(&api, &other, &json!({"after": 0})).await;
    assert_eq!(arrivals(&other, head).await[0].position(), 1);
}

async fn a_delivery_is_a_signed_cloud_event(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[ALLOW]).await;
    let api = app.client();
    let receiver = Receiver::start().await;
    create(&api, &receiver, &json!({"types": ["job.completed"]})).await;
    let job = new_ended_job(&api).await;
    let delivery = arrivals(&receiver, 1).await.remove(0);
    let event = delivery.json();
    assert_eq!(delivery.headers["content-type"], "application/cloudevents+json");
    assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!("job.completed")));
    assert_eq!(event["subject"], format!("job/{job}"));
    assert_eq!(event["data"]["job_id"], job);
    let (id, timestamp) = (&delivery.headers["webhook-id"], &delivery.headers["webhook-timestamp"]);
    assert_eq!(event["id"], *id);
    assert_eq!(delivery.headers["webhook-signature"], signature(id, timestamp, &delivery.body));
}

/// The signature by the specification of Standard Webhooks.
fn signature(id: &str, timestamp: &str, body: &str) -> String {
    use base64::Engine as _;
    use hmac::{Hmac, Mac};
    let base64 = base64::engine::general_purpose::STANDARD;
    let key = base64.decode(WEBHOOK_SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", base64.encode(mac.finalize().into_bytes()))
}

async fn a_filter_lets_pass_what_it_names(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[ALLOW]).await;
    let api = app.client();
    let receiver = Receiver::start().await;
    let (wanted, other) = (new_pipeline(&api).await, new_pipeline(&api).await);
    create(&api, &receiver, &json!({"pipeline_id": wanted, "types": ["job.launched", "job.cancelled"]}))
        .await;
    for pipeline in [&other, &wanted, &other] {
        let job = launched(&api, pipeline).await;
        api.claim(&job, "r").await.expect(200);
        api.complete(&job, &success()).await.expect(204);
    }
    let job = launched(&api, &wanted).await;
    api.cancel(&job).await.expect(204);
    let seen: Vec<Value> = arrivals(&receiver, 3).await.iter().map(Received::json).collect();
    let types: Vec<&Value> = seen.iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["job.launched", "job.launched", "job.cancelled"]);
    assert!(seen.iter().all(|event| event["data"]["pipeline_id"] == wanted));
}

async fn deliveries_go_on_after_a_restart(kind: StoreKind) {
    let store = Store::create(kind).await;
    let receiver = Receiver::start().await;
    let mut server = Server::start(&store, &[ALLOW]).await;
    create(&server.client(), &receiver, &json!({})).await;
    let head = events(&server.client()).await.len();
    for round in 0..4 {
        for _ in 0..5 {
            new_ended_job(&server.client()).await;
        }
        // Alternately an orderly stop and a kill.
        if round % 2 == 0 {
            server.terminate().await;
        } else {
            server.kill();
        }
        server = Server::start(&store, &[ALLOW]).await;
    }
    let expected: BTreeSet<u64> = events(&server.client()).await[head..]
        .iter()
        .map(|event| event["position"].as_u64().unwrap())
        .collect();
    let seen = receiver
        .eventually("every event", |came| {
            let seen = firsts(came.iter().map(Received::position));
            expected.iter().all(|position| seen.contains(position)).then_some(seen)
        })
        .await;
    assert!(seen.is_sorted(), "{seen:?}");
}

/// The first copy of each position, in order of arrival. Later copies may be out of order.
fn firsts(positions: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut known = BTreeSet::new();
    positions.filter(|position| known.insert(*position)).collect()
}

async fn a_webhook_does_not_tell_of_itself(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[ALLOW, "--webhook-retry-for", "1ms"]).await;
    let api = app.client();
    let (failing, watching) = (Receiver::start().await, Receiver::start().await);
    create(&api, &watching, &json!({"types": ["webhook.created", "webhook.paused", "webhook.resumed"]}))
        .await;
    failing.answer_always(Some("500 Oops"));
    let webhook = create(&api, &failing, &json!({})).await;
    new_job(&api).await;
    status(&api, &webhook, "paused").await;
    failing.answer_always(None);
    api.post(&format!("/api/webhooks/{webhook}/resume"), &Value::Null).await.expect(204);
    let job = new_job(&api).await;
    // Other webhooks deliver that event.
    let told: Vec<Value> = arrivals(&watching, 3).await.iter().map(Received::json).collect();
    let types: Vec<&Value> = told.iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["webhook.created", "webhook.paused", "webhook.resumed"]);
    let subject = format!("job/{job}");
    let came = failing
        .eventually("the job", |came| {
            came.iter().any(|delivery| delivery.json()["subject"] == subject).then(|| came.to_vec())
        })
        .await;
    let own = format!("webhook/{webhook}");
    assert!(came.iter().all(|delivery| delivery.json()["subject"] != own));
    // Deliveries are not events.
    let events = events(&api).await;
    let of_webhooks = events.iter().filter(|event| event["stream_type"] == "webhook").count();
    assert_eq!(of_webhooks, 4);
}

async fn a_deleted_webhook_is_gone(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[ALLOW]).await;
    let api = app.client();
    let receiver = Receiver::start().await;
    let webhook = create(&api, &receiver, &json!({"types": ["job.launched"]})).await;
    let kept = create(&api, &receiver, &json!({"types": ["job.cancelled"]})).await;
    let list = api.get("/api/webhooks").await.expect(200);
    assert_eq!(rivet_tests::sample::ids(&list), [kept.clone(), webhook.clone()]);
    api.delete(&format!("/api/webhooks/{webhook}")).await.expect(204);
    for path in [format!("/api/webhooks/{webhook}"), format!("/api/webhooks/{webhook}/deliveries")] {
        api.get(&path).await.expect_refusal(404, "webhook_not_found");
    }
    api.delete(&format!("/api/webhooks/{webhook}")).await.expect_refusal(404, "webhook_not_found");
    // A delivery that was already being prepared may still arrive.
    eventually("the other one alone to deliver", async || {
        let job = new_job(&api).await;
        api.cancel(&job).await.expect(204);
        (told_of(&receiver, &job, "job.cancelled").await == ["job.cancelled"]).then_some(())
    })
    .await;
    assert_eq!(rivet_tests::sample::ids(&api.get("/api/webhooks").await.expect(200)), [kept]);
}

/// The types of the delivered events of a job, once `last` is among them.
async fn told_of(receiver: &Receiver, job: &str, last: &str) -> Vec<String> {
    let subject = format!("job/{job}");
    receiver
        .eventually(last, |came| {
            let events = came.iter().map(Received::json).filter(|event| event["subject"] == subject);
            let types: Vec<String> = events.map(|event| event["type"].as_str().unwrap().to_owned()).collect();
            types.iter().any(|kind| kind == last).then_some(types)
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_replica_takes_deliveries_over() {
    let Replicas { store: _store, one, other } = Replicas::start(&[ALLOW]).await;
    let receiver = Receiver::start().await;
    create(&other.client(), &receiver, &json!({})).await;
    let head = events(&other.client()).await.len();
    new_ended_job(&other.client()).await;
    one.kill();
    new_ended_job(&other.client()).await;
    let expected = events(&other.client()).await.len() - head;
    let seen = receiver
        .eventually("every event", |came| {
            let seen = firsts(came.iter().map(Received::position));
            (seen.len() == expected).then_some(seen)
        })
        .await;
    assert!(seen.is_sorted(), "{seen:?}");
}
