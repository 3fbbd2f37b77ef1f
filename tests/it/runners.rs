//! Runners: registration, contacts, the list, and what a runner may do without registering.

use std::time::Duration;

use rivet_tests::on_both_stores;
use rivet_tests::sample::{id, ids, launched, new_claimed_job, new_demanding_pipeline, new_job, success};
use rivet_tests::server::{SWEEP_OFTEN, TestApp};
use rivet_tests::store::StoreKind;
use rivet_tests::verify::recorded;
use rivet_tests::wait::{eventually, throughout, until_shown};
use serde_json::{Value, json};

on_both_stores! {
    a_heartbeat_registers_an_unknown_runner,
    a_heartbeat_that_is_malformed_registers_nobody,
    registering_again_replaces_the_capabilities,
    a_runner_is_busy_while_it_holds_a_job,
    a_silent_runner_goes_offline_and_comes_back,
    a_deleted_runner_is_gone,
    a_deleted_runner_that_is_alive_comes_back_as_what_it_was,
    a_deleted_runner_that_polls_keeps_its_job,
    a_runner_may_have_the_name_of_a_route,
    an_unregistered_runner_may_claim,
    runners_are_listed_newest_first,
}

async fn a_heartbeat_registers_an_unknown_runner(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    assert!(api.heartbeat("fresh").await.status < 300);
    let runner = api.get("/api/runners/fresh").await.expect(200);
    assert_eq!(runner["status"], "Online");
    assert!(runner["registered_at"].is_string() && runner["last_heartbeat_at"].is_string(), "{runner}");
}

async fn a_heartbeat_that_is_malformed_registers_nobody(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.with("rivet-lease", "no uuid").heartbeat("fresh").await.expect_refusal(400, "invalid_header");
    api.get("/api/runners/fresh").await.expect_refusal(404, "runner_not_found");
}

async fn registering_again_replaces_the_capabilities(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.register("r", &["a", "b"]).await.expect(200);
    let again = api.register("r", &["c", "", "b", "c"]).await.expect(200);
    assert_eq!((&again["capabilities"], &again["capability_count"]), (&json!(["c", "b"]), &json!(2)));
    assert_eq!(api.get("/api/runners").await.expect(200).as_array().map(Vec::len), Some(1));
}

async fn a_runner_is_busy_while_it_holds_a_job(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.register_unrestricted("r").await.expect(200);
    let job = new_claimed_job(&api, "r").await;
    assert_eq!(api.get("/api/runners/r").await.expect(200)["status"], "Busy");
    api.complete(&job, &success()).await.expect(204);
    assert_eq!(api.get("/api/runners/r").await.expect(200)["status"], "Online");
}

async fn a_silent_runner_goes_offline_and_comes_back(kind: StoreKind) {
    let flags = ["--runner-offline-after", "200ms", "--sweep-interval", "50ms", "--startup-grace", "0s"];
    let app = TestApp::start_with(kind, &flags).await;
    let api = app.client();
    api.register("r", &[]).await.expect(200);
    let count = async |kind: &str| recorded(&api, kind).await.len();
    // A poll is a contact too.
    for polls in [false, true] {
        until_shown(&api, "/api/runners/r", "status", "Offline").await;
        let before = count("runner.returned").await;
        eventually("the loss", async || (count("runner.lost").await > before).then_some(())).await;
        eventually("the return", async || {
            if polls {
                api.claim_next("r", 0).await.expect(204);
            } else {
                api.heartbeat("r").await.expect(204);
            }
            (count("runner.returned").await > before).then_some(())
        })
        .await;
    }
}

async fn a_deleted_runner_is_gone(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.register("r", &[]).await.expect(200);
    api.delete("/api/runners/r").await.expect(204);
    api.get("/api/runners/r").await.expect_refusal(404, "runner_not_found");
    api.delete("/api/runners/r").await.expect_refusal(404, "runner_not_found");
    assert_eq!(api.get("/api/runners").await.expect(200), json!([]));
}

async fn a_deleted_runner_that_is_alive_comes_back_as_what_it_was(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.register("r", &["linux"]).await.expect(200);
    let pipeline = new_demanding_pipeline(&api, &["gpu"]).await;
    let job = launched(&api, &pipeline).await;
    api.delete("/api/runners/r").await.expect(204);
    api.claim_next("r", 0).await.expect(204);
    assert_eq!(api.get("/api/runners/r").await.expect(200)["capabilities"], json!(["linux"]));
    api.delete("/api/runners/r").await.expect(204);
    assert_eq!(api.scheduled(Some("r")).await.expect(200), json!([]));
    assert_eq!(api.get("/api/runners/r").await.expect(200)["capabilities"], json!(["linux"]));
    api.claim(&job, "r").await.expect_refusal(409, "capability_missing");
    app.verify().await;
}

async fn a_deleted_runner_that_polls_keeps_its_job(kind: StoreKind) {
    let flags = ["--lease", "2s", SWEEP_OFTEN, "--startup-grace", "0s"];
    let app = TestApp::start_with(kind, &flags).await;
    let api = app.client();
    let job = new_job(&api).await;
    let holder = api.holding(&api.claim_fencing(&job, "r").await.expect(200));
    holder.set_status(&job, "Running").await.expect(204);
    api.delete("/api/runners/r").await.expect(204);
    throughout(Duration::from_secs(6), async || {
        api.scheduled(Some("r")).await.expect(200);
    })
    .await;
    holder.complete(&job, &success()).await.expect(204);
}

async fn a_runner_may_have_the_name_of_a_route(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.register("register", &[]).await.expect(200);
    assert_eq!(api.get("/api/runners/register").await.expect(200)["id"], "register");
    api.heartbeat("register").await.expect(204);
    api.delete("/api/runners/register").await.expect(204);
    api.get("/api/runners/register").await.expect_refusal(404, "runner_not_found");
}

async fn an_unregistered_runner_may_claim(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_job(&api).await;
    api.claim(&job, "stranger").await.expect(200);
    assert_eq!(api.job(&job).await.expect(200)["runner_id"], "stranger");
}

async fn runners_are_listed_newest_first(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    for name in ["a", "b", "c"] {
        api.register(name, &[]).await.expect(200);
    }
    let list = api.get("/api/runners").await.expect(200);
    let names: Vec<String> = list.as_array().into_iter().flatten().map(|runner: &Value| id(runner)).collect();
    assert_eq!(names, ["c", "b", "a"]);

    let time = list[1]["registered_at"].as_str().expect("a time is text");
    let at = api.claim(&new_job(&api).await, "a").await.position();
    for (query, expected) in [
        ("runner_id=b".to_owned(), &["b"][..]),
        (format!("since={time}"), &["c", "b"]),
        (format!("until={time}"), &["a"]),
        (format!("since={time}&until={time}"), &[]),
        ("status=Busy".to_owned(), &["a"]),
        ("status=Busy,Online&runner_id=a".to_owned(), &["a"]),
        ("status=Offline".to_owned(), &[]),
    ] {
        for path in [format!("/api/runners?{query}"), format!("/api/runners?{query}&at={at}")] {
            assert_eq!(ids(&api.get(&path).await.expect(200)), expected, "{path}");
        }
    }
    api.get("/api/runners?status=Asleep").await.expect_refusal(400, "invalid_query");
}
