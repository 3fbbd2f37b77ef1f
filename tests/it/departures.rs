//! Clients that leave while what they asked for is being recorded: it counts, and the server knows that it does.

use std::pin::Pin;

use rivet_tests::client::{Answer, Client};
use rivet_tests::on_both_stores;
use rivet_tests::sample::{entry, failure, launched, new_claimed_job, new_pipeline_with, success};
use rivet_tests::server::TestApp;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::wait::eventually;
use serde_json::{Value, json};
use sqlx::{Connection, Executor as _, PgConnection, SqliteConnection};

on_both_stores! {
    what_a_client_did_not_wait_for_is_known_to_the_next_command,
    a_claim_that_its_client_left_is_the_answer_when_it_asks_again,
}

/// The lock under which events are appended, so that the server has to wait for it.
enum HeldLog {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl HeldLog {
    async fn take(store: &Store, kind: StoreKind) -> Self {
        match kind {
            StoreKind::Sqlite => {
                let mut file = SqliteConnection::connect(store.url()).await.unwrap();
                file.execute("begin immediate").await.unwrap();
                Self::Sqlite(file)
            }
            StoreKind::Postgres => {
                let mut database = PgConnection::connect(store.url()).await.unwrap();
                database.execute("select pg_advisory_lock(7248163301)").await.unwrap();
                Self::Postgres(database)
            }
        }
    }

    async fn release(self) {
        match self {
            Self::Sqlite(file) => file.close().await.unwrap(),
            Self::Postgres(database) => database.close().await.unwrap(),
        }
    }
}

/// Waits until a gauge of the server stands so.
async fn until(api: &Client, gauge: &str, value: usize) {
    let line = format!("{gauge} {value}");
    eventually(&line, async || {
        api.get("/metrics").await.text.lines().any(|found| found == line).then_some(())
    })
    .await;
}

/// Waits until so many requests have no answer yet.
async fn until_in_flight(api: &Client, requests: usize) {
    // This one, too, is in flight.
    until(api, "rivet_http_requests_in_flight", requests + 1).await;
}

/// A request on its way, which has to wait: the last of so many.
async fn begun<R: Future<Output = Answer>>(api: &Client, request: R, requests: usize) -> Pin<Box<R>> {
    let mut request = Box::pin(request);
    tokio::select! {
        answer = &mut request => panic!("it did not have to wait: {answer:?}"),
        () = until_in_flight(api, requests) => {}
    }
    request
}

async fn what_a_client_did_not_wait_for_is_known_to_the_next_command(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let log = HeldLog::take(&app.store, kind).await;
    drop(begun(&api, api.complete(&job, &success()), 1).await);
    until_in_flight(&api, 0).await;
    log.release().await;
    eventually("the job to end", async || {
        (api.job(&job).await.expect(200)["status"] == "Succeeded").then_some(())
    })
    .await;
    api.append_logs(&job, &json!([entry("the last line")])).await.expect(201);
    let again = api.post(&format!("/api/jobs/{job}/retry"), &Value::Null).await.expect(200);
    assert_eq!(again["retry_of"], job);
    app.verify().await;
}

async fn a_claim_that_its_client_left_is_the_answer_when_it_asks_again(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    for runner in ["r", "rival"] {
        api.register(runner, &[]).await.expect(200);
    }
    let pipeline = new_pipeline_with(&api, &json!({"max_retries": 5})).await;
    let job = launched(&api, &pipeline).await;
    let mut holder = api.holding(&api.claim_fencing(&job, "r").await.expect(200));
    let mut round = 0;
    let (keyed, first, log) = loop {
        round += 1;
        let keyed = api.with("rivet-request-key", &round);
        let next = keyed.clone();
        let first = begun(&api, async move { next.claim_next("r", 50_000).await }, 1).await;
        until(&api, "rivet_waiting_claims", 1).await;
        // From now on there is a job, but it is not due before the log is held.
        holder.complete(&job, &failure()).await.expect(204);
        api.scheduled(None).await.expect(200);
        let log = HeldLog::take(&app.store, kind).await;
        if api.job(&job).await.expect(200)["phase"] == "backoff" {
            break (keyed, first, log);
        }
        // Unless the machine stood still: the next time is twice as far.
        log.release().await;
        holder = api.holding(&first.await.expect(200));
    };
    until(&api, "rivet_waiting_claims", 0).await;
    // Were the job given up by who leaves, this one would try to claim it next.
    let _rival = begun(&api, api.claim_next("rival", 50_000), 2).await;
    drop(first);
    until_in_flight(&api, 1).await;
    let again = begun(&api, keyed.claim_next("r", 0), 2).await;
    log.release().await;
    let claimed = again.await.expect(200);
    assert_eq!(claimed["job_id"], job);
    api.holding(&claimed).complete(&job, &success()).await.expect(204);
    app.verify().await;
}
