//! Reconcilers: one item that cannot be read delays no other.

use rivet_events::deliveries::Deliveries;
use rivet_events::id::WebhookId;
use rivet_events::runner::{Capabilities, RunnerEvent, RunnerRegistered};
use rivet_events::{Event, Position, StreamId};
use rivet_tests::client::Client;
use rivet_tests::history::unreadable;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{UNKNOWN, WEBHOOK_SECRET, new_job};
use rivet_tests::server::{SWEEP_OFTEN, Server};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::recorded;
use rivet_tests::wait::{eventually, until_job_is};

on_both_stores! {
    streams_that_cannot_be_read_are_passed_over,
    leases_expire_while_the_table_of_webhooks_cannot_be_read,
}

const SWEEP: [&str; 5] = [SWEEP_OFTEN, "--lease", "1s", "--startup-grace", "1s"];

/// A store with a runner and a webhook that no build can read, both of which are due for a reconciler.
async fn poisoned(kind: StoreKind) -> Store {
    let registered = RunnerRegistered {
        runner_id: "a-broken-one".parse().unwrap(),
        capabilities: Capabilities::default(),
        boot_id: None,
        registered_at: chrono::DateTime::UNIX_EPOCH,
    };
    let runner = StreamId::runner(&registered.runner_id);
    let registered = Event::Runner(RunnerEvent::Registered(registered));
    let webhook: WebhookId = UNKNOWN.parse().unwrap();
    let streams = [
        (runner, vec![registered, unreadable("runner.teleported")]),
        (StreamId::webhook(webhook), vec![unreadable("webhook.teleported")]),
    ];
    let store = Store::create(kind).await;
    store.append(&streams, 1).await;
    let database = store.open().await;
    let secret = WEBHOOK_SECRET.to_owned();
    Deliveries::new(&database).begin(webhook, &secret.into(), Position(0), "{}").await.unwrap();
    database.close().await;
    store
}

async fn assert_a_silent_holder_loses_its_job(api: &Client) {
    let job = new_job(api).await;
    api.claim_fencing(&job, "holder").await.expect(200);
    until_job_is(api, &job, "Queued").await;
}

async fn streams_that_cannot_be_read_are_passed_over(kind: StoreKind) {
    let store = poisoned(kind).await;
    let server = Server::start(&store, &[&SWEEP[..], &["--runner-offline-after", "1s"]].concat()).await;
    let api = server.client();
    api.register("silent", &[]).await.expect(200);
    assert_a_silent_holder_loses_its_job(&api).await;
    eventually("the silent runner to be given up", async || {
        let lost = recorded(&api, "runner.lost").await;
        lost.iter().any(|event| event["payload"]["runner_id"] == "silent").then_some(())
    })
    .await;
}

async fn leases_expire_while_the_table_of_webhooks_cannot_be_read(kind: StoreKind) {
    let store = Store::create(kind).await;
    store.open().await.close().await;
    store.execute("alter table webhook_deliveries rename to elsewhere").await;
    let server = Server::start(&store, &SWEEP).await;
    assert_a_silent_holder_loses_its_job(&server.client()).await;
}
