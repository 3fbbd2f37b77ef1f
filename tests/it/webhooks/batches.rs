//! Deliveries of several events at once.

use rivet_tests::on_both_stores;
use rivet_tests::receiver::{Received, Receiver};
use rivet_tests::sample::new_ended_job;
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rivet_tests::verify::events;
use rivet_tests::wait::eventually;
use serde_json::json;

use super::{ALLOW, create, deliveries, signature};

on_both_stores! {
    a_batch_is_a_signed_array_of_events_in_order,
}

async fn a_batch_is_a_signed_array_of_events_in_order(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[ALLOW]).await;
    let api = app.client();
    for _ in 0..8 {
        new_ended_job(&api).await;
    }
    let expected: Vec<u64> =
        events(&api).await.iter().map(|event| event["position"].as_u64().unwrap()).collect();
    let receiver = Receiver::start().await;
    receiver.answer_next(["500 Oops"]);
    let webhook = create(&api, &receiver, &json!({"after": 0, "batch_size": 10})).await;
    assert_eq!(api.get(&format!("/api/webhooks/{webhook}")).await.expect(200)["batch_size"], 10);
    let came = receiver
        .eventually("every event", |came| {
            let accepted: usize = came[1..].iter().map(|batch| batch.positions().len()).sum();
            (accepted >= expected.len()).then(|| came.to_vec())
        })
        .await;
    // The failed batch was sent again unchanged, before any other.
    assert_eq!((came[0].status, came[1].status, &came[0].body), (500, 204, &came[1].body));
    assert_eq!(came[0].headers["webhook-id"], came[1].headers["webhook-id"]);
    let seen: Vec<u64> = came[1..].iter().flat_map(Received::positions).collect();
    assert_eq!(seen, expected);
    for delivery in &came {
        assert!((1..=10).contains(&delivery.positions().len()), "{delivery:?}");
        assert_eq!(delivery.headers["content-type"], "application/cloudevents-batch+json");
        let (id, timestamp) = (&delivery.headers["webhook-id"], &delivery.headers["webhook-timestamp"]);
        assert_eq!(delivery.headers["webhook-signature"], signature(id, timestamp, &delivery.body));
    }
    let told = eventually("the progress to be saved", async || {
        let told = deliveries(&api, &webhook).await;
        (told["delivered"] == expected.len()).then_some(told)
    })
    .await;
    assert_eq!(told["attempts"].as_array().unwrap().len(), came.len());
}
