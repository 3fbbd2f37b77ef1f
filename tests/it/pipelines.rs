//! Pipelines: what a definition declares, what a launch checks against it, versions, deletion.

use futures_util::future::join_all;
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{
    UNKNOWN, assert_follows, history, id, ids, launched, new_pipeline, pipeline, script,
};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rivet_tests::wait::until_job_is;
use serde_json::{Value, json};

on_both_stores! {
    parameters_are_checked_against_the_declared_inputs,
    defaults_are_filled_in,
    words_that_spell_values_are_converted,
    a_named_script_need_not_be_a_definition,
    an_unnamed_script_must_be_a_definition,
    a_check_answers_as_a_creation_would_and_records_nothing,
    a_deleted_pipeline_is_gone_and_its_jobs_stay,
    a_deleted_pipeline_has_its_whole_queue_cancelled,
    lists_are_newest_first,
    a_launch_with_a_key_happens_once,
}

const INPUTS: &str = "inputs = {
    branch = { type = 'string', required = true },
    count = { type = 'number', options = { 1, 2, 3 } },
    deploy = { type = 'bool', default = false },
    target = { type = 'string', default = 'staging', options = { 'staging', 'production' } },
},";

async fn pipeline_with_inputs(api: &Client) -> String {
    id(&api.create_pipeline(&json!({"script": script("inputs", INPUTS)})).await.expect(200))
}

async fn parameters_are_checked_against_the_declared_inputs(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = pipeline_with_inputs(&api).await;
    for (parameters, input) in [
        (json!({}), "branch"),
        (json!({"branch": null}), "branch"),
        (json!({"branch": 1}), "branch"),
        (json!({"branch": "m", "count": "many"}), "count"),
        (json!({"branch": "m", "count": 4}), "count"),
        (json!({"branch": "m", "deploy": "yes"}), "deploy"),
        (json!({"branch": "m", "target": "moon"}), "target"),
    ] {
        let refused = api.launch(&pipeline, &parameters).await;
        refused.assert_problem();
        let problem = refused.expect(422);
        assert!(
            problem["error"].as_str().is_some_and(|error| error.contains(input)),
            "{parameters}: {problem}"
        );
    }
    assert_eq!(api.get("/api/jobs").await.expect(200), json!([]));
}

async fn defaults_are_filled_in(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = pipeline_with_inputs(&api).await;
    let job = api.launch(&pipeline, &json!({"branch": "m", "target": null, "extra": [1]})).await.expect(200);
    assert_eq!(job["parameters"], json!({"branch": "m", "deploy": false, "target": "staging", "extra": [1]}));
}

async fn words_that_spell_values_are_converted(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = pipeline_with_inputs(&api).await;
    let job =
        api.launch(&pipeline, &json!({"branch": "7", "count": "2", "deploy": "true"})).await.expect(200);
    assert_eq!(job["parameters"]["branch"], "7");
    assert_eq!(job["parameters"]["count"].as_f64(), Some(2.0));
    assert_eq!(job["parameters"]["deploy"], true);
    // Numbers are compared by value.
    api.launch(&pipeline, &json!({"branch": "7", "count": 3.0})).await.expect(200);
}

async fn a_named_script_need_not_be_a_definition(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    for text in ["log.info('needs a runner')", "this is not Lua", ""] {
        let mut request = pipeline("free");
        request["script"] = json!(text);
        let created = api.create_pipeline(&request).await.expect(200);
        assert_eq!(api.get(&format!("/api/pipeline/{}", id(&created))).await.expect(200)["script"], text);
    }
}

async fn an_unnamed_script_must_be_a_definition(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    for text in [
        "this is not Lua",
        "return 1",
        "return { name = 'no stages' }",
        "return { name = 'empty', stages = {} }",
        "return { stages = { { name = 's', script = function() end } } }",
        "log.info('at top level')",
    ] {
        let refused = api.create_pipeline(&json!({"script": text})).await;
        refused.assert_problem();
        refused.expect(422);
    }
    for (default, accepted) in [("'5'", true), ("'four'", false), ("2", false), ("nil", true)] {
        let inputs =
            format!("inputs = {{ jobs = {{ type = 'number', default = {default}, options = {{ 5 }} }} }},");
        let answer = api.post("/api/pipeline/check", &json!({"script": script("p", &inputs)})).await;
        if accepted {
            answer.expect(200);
        } else {
            let problem = answer.expect_refusal(422, "invalid_definition");
            assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("`jobs`")), "{problem}");
        }
    }
    assert_eq!(api.get("/api/pipeline/list").await.expect(200), json!([]));
}

async fn a_check_answers_as_a_creation_would_and_records_nothing(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let request = json!({"script": script("inputs", INPUTS), "config": {"max_retries": 2}});
    let checked = api.post("/api/pipeline/check", &request).await.expect(200);
    let broken = json!({"script": "this is not Lua"});
    api.post("/api/pipeline/check", &broken).await.expect_refusal(422, "invalid_definition");
    assert_eq!(api.get("/api/events").await.expect(200)["head"], 0);
    let created = api.create_pipeline(&request).await.expect(200);
    for (member, value) in checked.as_object().unwrap() {
        assert_eq!(&created[member], value, "{member}");
    }
}

async fn a_deleted_pipeline_is_gone_and_its_jobs_stay(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let job = launched(&api, &pipeline).await;
    let by_alice = api.with("x-request-id", "alice-1");
    by_alice.delete(&format!("/api/pipeline/{pipeline}")).await.expect(204);
    api.get(&format!("/api/pipeline/{pipeline}")).await.expect_refusal(404, "pipeline_not_found");
    api.delete(&format!("/api/pipeline/{pipeline}")).await.expect_refusal(404, "pipeline_not_found");
    let refused = api.launch(&pipeline, &json!({})).await.expect_refusal(404, "pipeline_not_found");
    assert_eq!(refused["detail"], format!("there is no pipeline {pipeline}"));
    assert_eq!(api.get("/api/pipeline/list").await.expect(200), json!([]));
    // A reconciler cancels its queued jobs.
    let cancelled = until_job_is(&api, &job, "Cancelled").await;
    assert!(cancelled["reason"].is_string(), "{cancelled}");
    let deleted = api.get("/api/events?type=pipeline.deleted").await.expect(200)["events"][0].clone();
    assert_follows(&history(&api, &job).await.1[1], &deleted, "alice-1");
    assert_eq!(ids(&api.get(&format!("/api/jobs/pipeline/{pipeline}")).await.expect(200)), [job]);
    api.get(&format!("/api/jobs/pipeline/{UNKNOWN}")).await.expect_refusal(404, "pipeline_not_found");
}

async fn a_deleted_pipeline_has_its_whole_queue_cancelled(kind: StoreKind) {
    let app = TestApp::start_with(kind, &["--sweep-interval", "1h"]).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let parameters = json!({});
    // More than one page of them.
    for _ in 0..17 {
        join_all((0..32).map(|_| api.launch(&pipeline, &parameters)))
            .await
            .iter()
            .for_each(|launched| drop(launched.expect(200)));
    }
    api.delete(&format!("/api/pipeline/{pipeline}")).await.expect(204);
    assert_eq!(api.get("/api/jobs?status=Queued").await.expect(200), json!([]));
    assert_eq!(ids(&api.get("/api/jobs?status=Cancelled&limit=1000").await.expect(200)).len(), 17 * 32);
}

async fn lists_are_newest_first(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let mut pipelines = Vec::new();
    for number in 0..5 {
        pipelines.push(id(&api.create_pipeline(&pipeline(&format!("p{number}"))).await.expect(200)));
    }
    pipelines.reverse();
    let list = api.get("/api/pipeline/list").await.expect(200);
    assert_eq!(ids(&list), pipelines);
    let time = list[2]["created_at"].as_str().expect("a time is text");
    let at = api.launch(&pipelines[0], &json!({})).await.position();
    for (query, expected) in [
        (format!("pipeline_id={}", pipelines[1]), &pipelines[1..2]),
        (format!("since={time}"), &pipelines[..3]),
        (format!("until={time}"), &pipelines[3..]),
        (format!("since={time}&pipeline_id={}", pipelines[4]), &[]),
    ] {
        for path in [format!("/api/pipeline/list?{query}"), format!("/api/pipeline/list?{query}&at={at}")] {
            assert_eq!(ids(&api.get(&path).await.expect(200)), expected, "{path}");
        }
    }
    // Page by page, following the links.
    let mut seen: Vec<String> = Vec::new();
    let mut next = Some("/api/pipeline/list?limit=2".to_owned());
    while let Some(path) = next {
        let page = api.get(&path).await;
        seen.extend(ids(&page.expect(200)));
        next = page.next_page();
    }
    assert_eq!(seen, pipelines);
}

async fn a_launch_with_a_key_happens_once(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let keyed = api.with("idempotency-key", "deploy-42");
    let first = keyed.launch(&pipeline, &json!({"a": 1})).await;
    let again = keyed.launch(&pipeline, &json!({"a": 1})).await;
    assert_eq!(first.expect(200)["id"], again.expect(200)["id"]);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.position(), again.position());
    keyed.launch(&pipeline, &json!({"a": 2})).await.expect_refusal(409, "key_reused");

    // Many simultaneous launches give one job.
    let racing = api.with("idempotency-key", "race");
    let parameters = json!({});
    let launches = (0..16).map(|_| racing.launch(&pipeline, &parameters));
    let answers = futures_util::future::join_all(launches).await;
    let jobs: Vec<Value> = answers.iter().map(|answer| answer.expect(200)["id"].clone()).collect();
    assert!(jobs.iter().all(|job| *job == jobs[0]), "{jobs:?}");
    assert_eq!(ids(&api.get("/api/jobs").await.expect(200)).len(), 2);
}
