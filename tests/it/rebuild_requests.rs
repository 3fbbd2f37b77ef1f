//! Rebuilds requested over HTTP: who asked for them and why, and what happens when the server ends before they do.

use rivet_tests::history::streams;
use rivet_tests::on_both_stores;
use rivet_tests::server::{Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::{recorded, verify};
use rivet_tests::wait::eventually;
use serde_json::json;

on_both_stores! {
    a_rebuild_says_who_wanted_it_and_why,
    a_rebuild_that_the_end_of_its_server_cuts_short_can_be_asked_for_again,
}

/// Jobs of the past must not time out.
const AT_LEISURE: [&str; 4] = ["--queue-timeout", "80000h", "--run-timeout", "80000h"];
const JOBS: usize = 400;

async fn a_rebuild_says_who_wanted_it_and_why(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let operator = app.client().with("user-agent", "operator/1");
    let path = "/api/projections/jobs/rebuild";
    let asked = operator.post(path, &json!({"reason": "a row was changed by hand"})).await;
    asked.expect(202);
    let [event] = &recorded(&operator, "projection.rebuild_requested").await[..] else { panic!("one event") };
    assert_eq!(event["position"], asked.position());
    assert_eq!((&event["stream_type"], &event["stream_id"]), (&json!("projection"), &json!("jobs")));
    assert_eq!(event["payload"]["reason"], "a row was changed by hand");
    assert_eq!(event["metadata"]["user_agent"], "operator/1");
    // Without a body.
    operator.send(operator.request(reqwest::Method::POST, path)).await.expect(202);
    let unknown = operator.post("/api/projections/nothing/rebuild", &json!({})).await;
    unknown.expect_refusal(404, "projection_not_found");

    let requests = async || recorded(&operator, "projection.rebuild_requested").await.len();
    let (refused, recorded) = eventually("it to be refused", async || {
        // The server takes it over again and again.
        app.store
            .execute("update checkpoints set version = 99 where projection = 'jobs' and state = 'live'")
            .await;
        let before = requests().await;
        let answer = operator.post(path, &json!({})).await;
        (answer.status != 202).then_some((answer, requests().await - before))
    })
    .await;
    refused.expect_refusal(409, "newer_build");
    assert_eq!(recorded, 0);
}

async fn a_rebuild_that_the_end_of_its_server_cuts_short_can_be_asked_for_again(kind: StoreKind) {
    let store = Store::create(kind).await;
    store.append(&streams(41, JOBS), 8).await;
    let server = Server::start(&store, &AT_LEISURE).await;
    server.client().post("/api/projections/jobs/rebuild", &json!({})).await.expect(202);
    let status = server.terminate().await;
    assert!(status.success(), "{status}");
    let server = Server::start(&store, &AT_LEISURE).await;
    verify(&server.client(), &store).await;
}
