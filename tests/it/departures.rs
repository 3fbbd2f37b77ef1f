//! Clients that leave while their command is being recorded: the command counts, and the server's cache knows it.

use std::pin::Pin;

use rivet_tests::client::{Answer, Client};
use rivet_tests::on_both_stores;
use rivet_tests::sample::{entry, failure, launched, new_claimed_job, new_pipeline_with, success};
use rivet_tests::server::TestApp;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::wait::{until_counted, until_job_is};
use serde_json::{Value, json};
use sqlx::{Connection, Executor as _, PgConnection, SqliteConnection};

on_both_stores! {
    what_a_client_did_not_wait_for_is_known_to_the_next_command,
    a_claim_that_its_client_left_is_the_answer_when_it_asks_again,
}

/// Holds the lock for appends, so that the server has to wait for it.
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

/// Waits until this number of requests is in flight.
async fn until_in_flight(api: &Client, requests: usize) {
    // The request for the metrics is in flight itself.
    until_counted(api, "rivet_http_requests_in_flight", requests + 1).await;
}

/// Starts a request that must wait, and returns once this number of requests is in flight.
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
    until_job_is(&api, &job, "Succeeded").await;
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
        until_counted(&api, "rivet_waiting_claims", 1).await;
        // The job is queued for a retry, and is meant to be due only after the append lock is held.
        holder.complete(&job, &failure()).await.expect(204);
        api.scheduled(None).await.expect(200);
        let log = HeldLog::take(&app.store, kind).await;
        if api.job(&job).await.expect(200)["phase"] == "backoff" {
            break (keyed, first, log);
        }
        // The machine was too slow, and the job was due before. The next backoff is twice as long.
        log.release().await;
        holder = api.holding(&first.await.expect(200));
    };
    until_counted(&api, "rivet_waiting_claims", 0).await;
    // If the departing client released the job, this claim would be the next to try it.
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
