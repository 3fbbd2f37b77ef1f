//! The queue: who is offered which jobs, in which order, and why a job waits.

use futures_util::future::join_all;
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{
    failure, id, ids, launched, micros, new_demanding_pipeline, new_pipeline, new_pipeline_with, success,
};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rivet_tests::wait::eventually;
use serde_json::{Value, json};

on_both_stores! {
    the_higher_priority_goes_first,
    a_runner_is_offered_what_it_can_do,
    jobs_that_nobody_can_run_hide_no_others,
    only_a_part_of_a_long_queue_is_offered,
    a_waiting_job_says_why,
}

async fn launched_with(api: &Client, pipeline: &str, priority: u8) -> String {
    let body = json!({"pipeline_id": pipeline, "parameters": {}, "priority": priority});
    id(&api.post("/api/pipeline/launch", &body).await.expect(200))
}

async fn the_higher_priority_goes_first(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let urgent = new_pipeline_with(&api, &json!({"priority": 7})).await;
    let mut jobs = vec![
        (5, launched(&api, &pipeline).await),
        (0, launched_with(&api, &pipeline, 0).await),
        (9, launched_with(&api, &pipeline, 9).await),
        (5, launched(&api, &pipeline).await),
        (7, launched(&api, &urgent).await),
        (9, launched_with(&api, &pipeline, 9).await),
    ];
    // A stable sort: within a priority, the oldest first.
    jobs.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
    for (place, (priority, job)) in jobs.iter().enumerate() {
        let shown = api.job(job).await.expect(200);
        assert_eq!((&shown["priority"], &shown["waiting"]["place"]), (&json!(priority), &json!(place + 1)));
    }
    for (_, job) in &jobs {
        let claimed = api.claim_next("r", 30_000).await.expect(200);
        assert_eq!(claimed["job_id"], *job);
    }
    let too_high = json!({"pipeline_id": pipeline, "parameters": {}, "priority": 10});
    assert_eq!(api.post("/api/pipeline/launch", &too_high).await.status, 422);
}

async fn a_runner_is_offered_what_it_can_do(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let mut jobs = Vec::new();
    for demands in [&[][..], &["docker"], &["docker", "gpu"]] {
        jobs.push(launched(&api, &new_demanding_pipeline(&api, demands).await).await);
    }
    for (runner, capabilities, count) in
        [("nothing", &[][..], 1), ("docker", &["docker"][..], 2), ("both", &["docker", "gpu", "x"][..], 3)]
    {
        api.register(runner, capabilities).await.expect(200);
        assert_eq!(ids(&api.scheduled(Some(runner)).await.expect(200)), jobs[..count]);
    }
    api.register_unrestricted("anything").await.expect(200);
    assert_eq!(ids(&api.scheduled(Some("anything")).await.expect(200)), jobs);
    assert_eq!(ids(&api.scheduled(None).await.expect(200)), jobs);
}

async fn jobs_that_nobody_can_run_hide_no_others(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let poison = new_demanding_pipeline(&api, &["unobtainable"]).await;
    let others = join_all((0..3).map(|n| {
        let api = &api;
        async move { new_demanding_pipeline(api, &[&format!("rare-{n}")]).await }
    }))
    .await;
    let plain = new_demanding_pipeline(&api, &[]).await;
    join_all((0..200).map(|_| launched(&api, &poison))).await;
    for other in &others {
        launched(&api, other).await;
    }
    let job = launched(&api, &plain).await;
    api.register("r", &["docker"]).await.expect(200);
    assert_eq!(ids(&api.scheduled(Some("r")).await.expect(200)), std::slice::from_ref(&job));
    assert_eq!(api.claim_next("r", 30_000).await.expect(200)["job_id"], job);
}

async fn only_a_part_of_a_long_queue_is_offered(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    join_all((0..150).map(|_| launched(&api, &pipeline))).await;
    let urgent = launched_with(&api, &pipeline, 9).await;
    let offered = api.scheduled(None).await.expect(200);
    assert_eq!(ids(&offered).len(), 100);
    assert!(ids(&offered).contains(&urgent));
    let times: Vec<i64> =
        offered.as_array().into_iter().flatten().map(|job| micros(&job["requested_at"])).collect();
    assert!(times.is_sorted(), "{times:?}");
}

async fn a_waiting_job_says_why(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_demanding_pipeline(&api, &["docker", "gpu"]).await;
    let job = launched(&api, &pipeline).await;
    let reason = async || api.job(&job).await.expect(200)["waiting"].clone();
    let waiting = |reason: &str, missing: &[&str]| json!({"place": 1, "reason": reason, "missing_capabilities": missing, "held_by": []});
    assert_eq!(reason().await, waiting("no_runner", &["docker", "gpu"]));
    api.register("docker", &["docker"]).await.expect(200);
    assert_eq!(reason().await, waiting("no_runner", &["gpu"]));
    api.register("both", &["docker", "gpu"]).await.expect(200);
    assert_eq!(reason().await, waiting("ready", &[]));
    let other = launched(&api, &new_demanding_pipeline(&api, &[]).await).await;
    assert_eq!(api.job(&other).await.expect(200)["waiting"]["place"], 2);
    api.claim(&other, "both").await.expect(200);
    assert_eq!(reason().await, waiting("busy", &[]));
    assert_eq!(api.job(&other).await.expect(200)["waiting"], Value::Null);
    api.complete(&other, &success()).await.expect(204);
    assert_eq!(reason().await, waiting("ready", &[]));
    // A runner without declared capabilities may run every job.
    api.delete("/api/runners/both").await.expect(204);
    assert_eq!(reason().await["reason"], "no_runner");
    api.register_unrestricted("any").await.expect(200);
    assert_eq!(reason().await["reason"], "ready");

    // The fourth retry waits for at least 8 s, which is enough to look at the job while it waits.
    let flaky = launched(&api, &new_pipeline_with(&api, &json!({"max_retries": 4})).await).await;
    for _ in 0..4 {
        eventually("the attempt to be due", async || {
            (api.claim(&flaky, "any").await.status == 200).then_some(())
        })
        .await;
        api.complete(&flaky, &failure()).await.expect(204);
    }
    assert_eq!(api.job(&flaky).await.expect(200)["waiting"]["reason"], "backoff");
}
