//! PostgreSQL restarts, and PostgreSQL fails over to a standby that lacks the last commits.

use rivet_tests::sample::{launched, new_job, new_pipeline, script};
use rivet_tests::server::Server;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::verify;
use rivet_tests::wait::eventually;
use serde_json::json;

/// The restart has broken all connections, also those that nobody has used since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_is_refused_for_an_outage_that_is_over() {
    let store = Store::durable(StoreKind::Postgres).await;
    let server = Server::start(&store, &[]).await;
    let api = server.client();
    let pipeline = new_pipeline(&api).await;
    store.cluster().stop();
    store.cluster().resume().await;
    eventually("the log to be read again", async || (api.get("/readyz").await.status == 200).then_some(()))
        .await;
    launched(&api, &pipeline).await;
    let rebuild = api.post("/api/projections/jobs/rebuild", &json!({})).await;
    rebuild.expect(202);
    eventually("the rebuild to be done", async || {
        server.log().contains("a rebuilt read model is live").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_ends_that_has_seen_what_was_lost() {
    let store = Store::durable(StoreKind::Postgres).await;
    let mut server = Server::start(&store, &[]).await;
    let api = server.client();
    let pipeline = new_pipeline(&api).await;
    let kept = launched(&api, &pipeline).await;
    store.cluster().back_up().await;
    let revision = json!({"script": script("lost", "")});
    eventually("the database to be used again", async || {
        (api.revise(&pipeline, &revision).await.status == 200).then_some(())
    })
    .await;
    let lost = new_job(&api).await;
    api.claim(&kept, "r").await.expect(200);

    store.cluster().fail_over().await;
    eventually("the standby to be refused", async || {
        server.log().contains("the database is a standby that is behind").then_some(())
    })
    .await;
    api.get("/livez").await.expect(200);
    store.cluster().promote();
    assert_eq!(server.ended().await.code(), Some(1));
    assert!(server.log().contains("the database has lost events"), "{}", server.log());

    let server = Server::start(&store, &[]).await;
    let api = server.client();
    api.job(&lost).await.expect_refusal(404, "job_not_found");
    assert_eq!(api.job(&kept).await.expect(200)["status"], "Queued");
    api.claim(&kept, "r").await.expect(200);
    assert_eq!(api.launch(&pipeline, &json!({})).await.expect(200)["pipeline_version"], 1);
    verify(&api, &store).await;
}
