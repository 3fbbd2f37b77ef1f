//! Readers of the feed and a webhook are cut off at random while jobs run and the server restarts. The readers lose
//! nothing and get nothing twice; the webhook gets everything, and its first copies are in order.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rivet_tests::client::Client;
use rivet_tests::dice::Dice;
use rivet_tests::followers::{Target, follow, live_while};
use rivet_tests::on_both_stores;
use rivet_tests::receiver::{Received, Receiver};
use rivet_tests::sample::{WEBHOOK_SECRET, new_pipeline};
use rivet_tests::server::Server;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::{events, head, verify};
use rivet_tests::wait::eventually;
use serde_json::json;
use tokio::join;

on_both_stores! { everything_reaches_those_who_follow }

const ALLOW: &str = "--allow-private-webhooks";
const RATE: u32 = 20;
/// Number of events before the restart, and again after it: about those of two seconds.
const STRETCH: u64 = 160;
/// A reader is cut off after at most this many events. There are more than that, so each of them reconnects.
const LONGEST: [u64; 2] = [40, 200];

async fn everything_reaches_those_who_follow(kind: StoreKind) {
    let store = Store::create(kind).await;
    let server = Server::start(&store, &[ALLOW]).await;
    let target = Target::new(server.client());
    let receiver = Receiver::start().await;
    receiver.answer_next(["", "500 Oops", "204 No Content", "", "204 No Content", "503 Later"]);
    let webhook = json!({"url": receiver.url("/"), "secret": WEBHOOK_SECRET, "after": 0});
    target.client().post("/api/webhooks", &webhook).await.expect(201);
    let pipeline = new_pipeline(&target.client()).await;

    // 0 as long as the end is not known.
    let end = AtomicU64::new(0);
    let known_end = || Some(end.load(Ordering::Relaxed)).filter(|end| *end > 0);
    let is_enough = AtomicBool::new(false);
    let load = live_while(&target, &pipeline, RATE, || !is_enough.load(Ordering::Relaxed));
    let restart = async {
        stretch(&server.client()).await;
        server.kill();
        let server = Server::start(&store, &[ALLOW]).await;
        target.moved(server.client());
        stretch(&server.client()).await;
        is_enough.store(true, Ordering::Relaxed);
        server
    };
    let work = async {
        let (lives, server) = join!(load, restart);
        assert!(lives > 0);
        end.store(head(&server.client()).await, Ordering::Relaxed);
        // One more event, which wakes the readers that have already seen everything.
        server.client().heartbeat("late").await.expect(204);
        server
    };
    let [one, other] = LONGEST.map(|longest| follow(target.clone(), longest, Dice::new(longest), known_end));
    let (server, one, other) = join!(work, one, other);

    let end = end.load(Ordering::Relaxed);
    for reader in [one, other] {
        let expected: Vec<u64> = (1..).take(reader.positions.len()).collect();
        assert_eq!(reader.positions, expected);
        assert!(*reader.positions.last().unwrap() >= end);
        assert!(reader.returns > 1);
    }
    let webhook_events = events(&server.client()).await;
    let expected: BTreeSet<u64> = webhook_events
        .iter()
        .filter(|event| event["stream_type"] != "webhook")
        .map(|event| event["position"].as_u64().unwrap())
        .collect();
    let seen = receiver
        .eventually("every event to be delivered", |came| {
            let accepted = came.iter().filter(|delivery| delivery.status == 204);
            let seen: Vec<u64> = accepted.map(Received::position).collect();
            (expected.iter().collect::<BTreeSet<_>>() == seen.iter().collect()).then_some(seen)
        })
        .await;
    let mut known = BTreeSet::new();
    let firsts: Vec<u64> = seen.into_iter().filter(|position| known.insert(*position)).collect();
    assert!(firsts.is_sorted(), "{firsts:?}");
    verify(&server.client(), &store).await;
}

/// Waits until [`STRETCH`] more events are in the log.
async fn stretch(api: &Client) {
    let goal = head(api).await + STRETCH;
    eventually("the load to go on", async || (head(api).await >= goal).then_some(())).await;
}
