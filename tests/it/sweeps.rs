//! Reconcilers: one item that cannot be read delays no other.

use rivet_events::database::{Database, Durability};
use rivet_events::deliveries::Deliveries;
use rivet_events::event::UnreadableEvent;
use rivet_events::id::WebhookId;
use rivet_events::log::{self, LogSettings};
use rivet_events::runner::{RunnerEvent, RunnerRegistered};
use rivet_events::{Event, Position, StreamId};
use rivet_tests::client::Client;
use rivet_tests::history::tell;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{UNKNOWN, new_job};
use rivet_tests::server::Server;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::events;
use rivet_tests::wait::eventually;
use serde_json::Value;
use sqlx::Executor as _;

on_both_stores! {
    streams_that_cannot_be_read_are_passed_over,
    leases_expire_while_the_table_of_webhooks_cannot_be_read,
}

const SWEEP: [&str; 6] = ["--sweep-interval", "100ms", "--lease", "1s", "--startup-grace", "1s"];

fn unreadable(event_type: &str) -> Event {
    let payload = format!("{{\"type\":\"{event_type}\"}}");
    Event::Unreadable(UnreadableEvent {
        payload: serde_json::value::RawValue::from_string(payload).unwrap(),
        event_type: event_type.to_owned(),
        event_version: 1,
        error: String::new(),
    })
}

/// A store with a runner and a webhook that no build can read, both of which are due for a reconciler.
async fn poisoned(kind: StoreKind) -> Store {
    let store = Store::create(kind).await;
    let database = Database::connect(store.url()).await.unwrap();
    database.migrate().await.unwrap();
    let log = log::open(&database, LogSettings::default()).await.unwrap();
    let registered = RunnerRegistered {
        runner_id: "a-broken-one".parse().unwrap(),
        capabilities: None,
        boot_id: None,
        registered_at: chrono::DateTime::UNIX_EPOCH,
    };
    let stream = StreamId::runner(&registered.runner_id);
    let events = vec![Event::Runner(RunnerEvent::Registered(registered)), unreadable("runner.teleported")];
    tell(&*log, &(stream, events), 1).await;
    let webhook: WebhookId = UNKNOWN.parse().unwrap();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
    Deliveries::new(&database).begin(webhook, &secret.into(), Position(0), "{}").await.unwrap();
    tell(&*log, &(StreamId::webhook(webhook), vec![unreadable("webhook.teleported")]), 1).await;
    log.close().await;
    database.close().await;
    store
}

async fn assert_a_silent_holder_loses_its_job(api: &Client) {
    let job = new_job(api).await;
    api.claim_fencing(&job, "holder").await.expect(200);
    eventually("the holder to lose its job", async || {
        (api.job(&job).await.expect(200)["status"] == "Queued").then_some(())
    })
    .await;
}

async fn streams_that_cannot_be_read_are_passed_over(kind: StoreKind) {
    let store = poisoned(kind).await;
    let server = Server::start(&store, &[&SWEEP[..], &["--runner-offline-after", "1s"]].concat()).await;
    let api = server.client();
    api.register("silent", &[]).await.expect(200);
    assert_a_silent_holder_loses_its_job(&api).await;
    eventually("the silent runner to be given up", async || {
        let is_lost =
            |event: &Value| event["type"] == "runner.lost" && event["payload"]["runner_id"] == "silent";
        events(&api).await.iter().any(is_lost).then_some(())
    })
    .await;
}

async fn leases_expire_while_the_table_of_webhooks_cannot_be_read(kind: StoreKind) {
    let store = Store::create(kind).await;
    let database = Database::connect(store.url()).await.unwrap();
    database.migrate().await.unwrap();
    let rename = "alter table webhook_deliveries rename to elsewhere";
    match &database {
        Database::Postgres(pool) => {
            pool.execute(rename).await.unwrap();
        }
        Database::Sqlite(sqlite) => {
            let mut writer = sqlite.write().await;
            let statements = writer.statements(Durability::Synced).await.unwrap();
            statements.execute(rename).await.unwrap();
        }
    }
    database.close().await;
    let server = Server::start(&store, &SWEEP).await;
    assert_a_silent_holder_loses_its_job(&server.client()).await;
}
