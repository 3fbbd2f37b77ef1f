//! Requests that a client may repeat without their effect being repeated.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use rivet_tests::client::{Answer, Client};
use rivet_tests::on_both_stores;
use rivet_tests::replicas::Replicas;
use rivet_tests::sample::{
    entry, history, id, ids, launched, messages, new_claimed_job, new_job, new_pipeline, success,
};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rivet_tests::wait::eventually;
use serde_json::json;

on_both_stores! {
    a_launch_under_one_key_makes_one_job,
    a_key_with_another_body_is_refused,
    a_key_belongs_to_its_pipeline,
    a_launch_is_replayed_though_its_pipeline_is_gone,
    a_retry_under_one_key_makes_one_job,
    reports_may_be_repeated,
    a_log_batch_is_stored_once,
    a_log_is_sealed_after_its_grace,
}

fn is_replay(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

async fn a_launch_under_one_key_makes_one_job(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let keyed = api.with("idempotency-key", "one");
    let parameters = json!({"n": 1});
    let answers = join_all((0..32).map(|_| keyed.launch(&pipeline, &parameters))).await;
    let jobs: BTreeSet<String> = answers.iter().map(|answer| id(&answer.expect(200))).collect();
    let positions: BTreeSet<u64> = answers.iter().map(Answer::position).collect();
    assert_eq!((jobs.len(), positions.len()), (1, 1));
    assert_eq!(answers.iter().filter(|answer| !is_replay(answer)).count(), 1);
    assert_eq!(ids(&api.get("/api/jobs").await.expect(200)).len(), 1);
    // Whatever has happened to the job since.
    let job = jobs.first().expect("there is one");
    api.claim(job, "r").await.expect(200);
    api.complete(job, &success()).await.expect(204);
    let again = keyed.launch(&pipeline, &json!({"n": 1})).await;
    assert_eq!((&id(&again.expect(200)), is_replay(&again)), (job, true));
}

async fn a_key_with_another_body_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let keyed = api.with("idempotency-key", "one");
    let body = |text: &str| {
        let path = "/api/pipeline/launch";
        keyed.send_raw(reqwest::Method::POST, path, "application/json", text.replace("PIPELINE", &pipeline))
    };
    let first = body(r#"{"pipeline_id": "PIPELINE", "parameters": {"a": 1, "b": {"c": [1, 2]}}}"#).await;
    // Bodies are compared as JSON: spaces and the order of members make no difference.
    let same = body(r#"{"parameters":{"b":{"c":[1,2]},"a":1},"pipeline_id":"PIPELINE"}"#).await;
    assert_eq!((id(&same.expect(200)), is_replay(&same)), (id(&first.expect(200)), true));
    for other in [
        r#"{"pipeline_id": "PIPELINE", "parameters": {"a": 2, "b": {"c": [1, 2]}}}"#,
        r#"{"pipeline_id": "PIPELINE", "parameters": {"a": 1, "b": {"c": [2, 1]}}}"#,
        r#"{"pipeline_id": "PIPELINE"}"#,
        r#"{"pipeline_id": "PIPELINE", "parameters": {"a": 1, "b": {"c": [1, 2]}}, "priority": 9}"#,
    ] {
        body(other).await.expect_refusal(409, "key_reused");
    }
    assert_eq!(ids(&api.get("/api/jobs").await.expect(200)).len(), 1);
    // Without a key, every launch makes a new job.
    api.launch(&pipeline, &json!({})).await.expect(200);
    api.launch(&pipeline, &json!({})).await.expect(200);
    assert_eq!(ids(&api.get("/api/jobs").await.expect(200)).len(), 3);
}

async fn a_key_belongs_to_its_pipeline(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let keyed = api.with("idempotency-key", "one");
    let (one, other) = (new_pipeline(&api).await, new_pipeline(&api).await);
    let one = keyed.launch(&one, &json!({})).await;
    let other = keyed.launch(&other, &json!({})).await;
    assert_ne!(id(&one.expect(200)), id(&other.expect(200)));
    assert!(!is_replay(&one) && !is_replay(&other));
}

async fn a_launch_is_replayed_though_its_pipeline_is_gone(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let keyed = api.with("idempotency-key", "one");
    let first = keyed.launch(&pipeline, &json!({})).await;
    api.delete(&format!("/api/pipeline/{pipeline}")).await.expect(204);
    let again = keyed.launch(&pipeline, &json!({})).await;
    assert_eq!((id(&again.expect(200)), is_replay(&again)), (id(&first.expect(200)), true));
    keyed.launch(&pipeline, &json!({"n": 1})).await.expect_refusal(409, "key_reused");
    api.launch(&pipeline, &json!({})).await.expect_refusal(404, "pipeline_not_found");
}

async fn a_retry_under_one_key_makes_one_job(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let retry = async |api: &Client, job: &str| api.post(&format!("/api/jobs/{job}/retry"), &json!({})).await;
    let mut ended = Vec::new();
    for _ in 0..2 {
        let job = launched(&api, &pipeline).await;
        api.claim(&job, "r").await.expect(200);
        api.complete(&job, &success()).await.expect(204);
        ended.push(job);
    }
    let keyed = api.with("idempotency-key", "one");
    let answers = join_all((0..32).map(|_| retry(&keyed, &ended[0]))).await;
    let jobs: BTreeSet<String> = answers.iter().map(|answer| id(&answer.expect(200))).collect();
    let positions: BTreeSet<u64> = answers.iter().map(Answer::position).collect();
    assert_eq!((jobs.len(), positions.len()), (1, 1));
    assert_eq!(answers.iter().filter(|answer| !is_replay(answer)).count(), 1);
    // A key belongs to the job that is launched again; without a key, every retry makes a new job.
    let other = retry(&keyed, &ended[1]).await;
    let anew = retry(&api, &ended[0]).await;
    assert!(!is_replay(&other) && !is_replay(&anew));
    assert_eq!(ids(&api.get("/api/jobs").await.expect(200)).len(), 5);
    // Whatever has happened to the pipeline since.
    api.delete(&format!("/api/pipeline/{pipeline}")).await.expect(204);
    let again = retry(&keyed, &ended[0]).await;
    assert_eq!((jobs.first(), is_replay(&again)), (Some(&id(&again.expect(200))), true));
    retry(&api, &ended[0]).await.expect_refusal(404, "pipeline_not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_launch_under_one_key_makes_one_job_across_replicas() {
    let replicas = Replicas::start(&[]).await;
    let pipeline = new_pipeline(&replicas.one.client()).await;
    for round in 0..10 {
        let keyed = replicas.clients().map(|api| api.with("idempotency-key", &round));
        let launches = (0..16).map(|n| {
            let (replica, parameters) = (&keyed[n % 2], json!({}));
            let pipeline = &pipeline;
            async move { replica.launch(pipeline, &parameters).await }
        });
        let answers = join_all(launches).await;
        let jobs: BTreeSet<String> = answers.iter().map(|answer| id(&answer.expect(200))).collect();
        assert_eq!(jobs.len(), 1);
        assert_eq!(answers.iter().filter(|answer| !is_replay(answer)).count(), 1);
    }
}

async fn reports_may_be_repeated(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_job(&api).await;
    let claimed = api.claim_fencing(&job, "r").await.expect(200);
    let holder = api.holding(&claimed);
    for answer in join_all((0..8).map(|_| holder.set_status(&job, "Running"))).await {
        answer.expect(204);
    }
    let result = success();
    for answer in join_all((0..8).map(|_| holder.complete(&job, &result))).await {
        answer.expect(204);
    }
    let (types, _) = history(&api, &job).await;
    assert_eq!(types, ["job.launched", "job.claimed", "job.started", "job.completed"]);
}

async fn a_log_batch_is_stored_once(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    let ack = |answer: &Answer| answer.header("rivet-log-ack").map(str::to_owned);
    let batch = json!(["a", "b", "c"].map(entry));
    let at = |offset: usize| api.with("rivet-log-offset", &offset);
    let first = at(0);
    for answer in join_all((0..8).map(|_| first.append_logs(&job, &batch))).await {
        answer.expect(201);
        assert_eq!(ack(&answer).as_deref(), Some("3"));
    }
    let gap = at(4).append_logs(&job, &batch).await;
    gap.expect_refusal(416, gap.json()["code"].as_str().expect("a code is text"));
    assert_eq!(ack(&gap).as_deref(), Some("3"));
    let overlapping = at(2).append_logs(&job, &json!(["c", "d"].map(entry))).await;
    overlapping.expect(201);
    assert_eq!(ack(&overlapping).as_deref(), Some("4"));
    assert_eq!(messages(&api.logs(&job).await.expect(200)), ["a", "b", "c", "d"]);
    // Without an offset, a repeated batch is recognised by its content.
    let batch = json!(["e", "f"].map(entry));
    for answer in join_all((0..8).map(|_| api.append_logs(&job, &batch))).await {
        answer.expect(201);
    }
    assert_eq!(messages(&api.logs(&job).await.expect(200)), ["a", "b", "c", "d", "e", "f"]);
}

async fn a_log_is_sealed_after_its_grace(kind: StoreKind) {
    let app = TestApp::start_with(kind, &["--log-grace", "2s"]).await;
    let api = app.client();
    let job = new_claimed_job(&api, "r").await;
    api.append_logs(&job, &json!([entry("first")])).await.expect(201);
    api.complete(&job, &success()).await.expect(204);
    let mut late = 0;
    eventually("the log to be sealed", async || {
        let answer = api.append_logs(&job, &json!([entry(&format!("late {late}"))])).await;
        if answer.status == 201 {
            late += 1;
            return None;
        }
        answer.expect_refusal(409, "log_sealed");
        Some(())
    })
    .await;
    assert_eq!(api.logs(&job).await.expect(200).as_array().map(Vec::len), Some(late + 1));
}
