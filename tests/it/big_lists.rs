//! Lists with large rows: a page is bounded in bytes, not only in rows.

use reqwest::Method;
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{history, id, ids, launched, new_pipeline, pipeline};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rivet_tests::verify::head;
use serde_json::{Value, json};

on_both_stores! {
    a_page_of_jobs_ends_at_a_length,
    a_page_of_pipelines_ends_at_a_length,
    a_page_of_versions_ends_at_a_length,
    what_is_offered_to_a_runner_ends_at_a_length,
    a_history_with_states_of_a_large_job_is_told,
}

/// Bytes of a row. A page of 8 MiB has room for two, not for three.
const LARGE: usize = 3 << 20;

fn large() -> String {
    "x".repeat(LARGE)
}

/// The rows of a list, page by page: three rows, of which the first page has two.
async fn two_and_one(api: &Client, path: &str) -> Vec<Value> {
    let first = api.get(path).await;
    let second = api.get(&first.next_page().expect("there is more")).await;
    assert_eq!(second.next_page(), None, "{path}");
    let pages = [first, second].map(|page| page.expect(200).as_array().expect("a list is one").clone());
    assert_eq!(pages.each_ref().map(Vec::len), [2, 1], "{path}");
    pages.concat()
}

async fn a_page_of_jobs_ends_at_a_length(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let result = json!({"success": true, "exit_code": 0, "output": large()});
    let mut jobs = Vec::new();
    for _ in 0..3 {
        let job = launched(&api, &pipeline).await;
        api.claim(&job, "r").await.expect(200);
        api.complete(&job, &result).await.expect(204);
        jobs.insert(0, job);
    }
    for path in [
        "/api/jobs?status=Succeeded,Failed".to_owned(),
        "/api/jobs?search=build".to_owned(),
        format!("/api/jobs/pipeline/{pipeline}"),
        format!("/api/jobs?at={}", head(&api).await),
    ] {
        let listed: Vec<String> = two_and_one(&api, &path).await.iter().map(id).collect();
        assert_eq!(listed, jobs, "{path}");
    }
}

async fn a_page_of_pipelines_ends_at_a_length(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let mut request = pipeline(&large());
    request["script"] = json!("return 1");
    let mut pipelines = Vec::new();
    for _ in 0..3 {
        pipelines.insert(0, id(&api.create_pipeline(&request).await.expect(200)));
    }
    for path in ["/api/pipeline/list".to_owned(), format!("/api/pipeline/list?at={}", head(&api).await)] {
        let listed: Vec<String> = two_and_one(&api, &path).await.iter().map(id).collect();
        assert_eq!(listed, pipelines, "{path}");
    }
}

async fn a_page_of_versions_ends_at_a_length(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let mut request = pipeline(&large());
    request["script"] = json!("return 1");
    let pipeline = format!("/api/pipeline/{}", id(&api.create_pipeline(&request).await.expect(200)));
    for script in ["return 2", "return 3"] {
        request["script"] = json!(script);
        let revision = api.request(Method::PUT, &pipeline).json(&request);
        api.send(revision).await.expect(200);
    }
    let versions = two_and_one(&api, &format!("{pipeline}/versions")).await;
    assert_eq!(versions.iter().map(|version| &version["version"]).collect::<Vec<_>>(), [3, 2, 1]);
}

async fn what_is_offered_to_a_runner_ends_at_a_length(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let parameters = json!({"text": large()});
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(id(&api.launch(&pipeline, &parameters).await.expect(200)));
    }
    // This job is first in the queue, although it was launched last.
    let urgent = json!({"pipeline_id": pipeline, "priority": 9, "parameters": parameters});
    jobs.push(id(&api.post("/api/pipeline/launch", &urgent).await.expect(200)));
    let before = head(&api).await;
    let offered = [jobs[0].clone(), jobs[3].clone()];
    assert_eq!(ids(&api.get("/api/jobs/scheduled").await.expect(200)), offered);
    assert_eq!(ids(&api.get(&format!("/api/jobs/scheduled?at={before}")).await.expect(200)), offered);
    for job in &offered {
        api.claim(job, "r").await.expect(200);
    }
    assert_eq!(ids(&api.get("/api/jobs/scheduled").await.expect(200)), jobs[1..3]);
}

async fn a_history_with_states_of_a_large_job_is_told(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let parameters = json!({"text": large()});
    let job = id(&api.launch(&pipeline, &parameters).await.expect(200));
    api.claim(&job, "r").await.expect(200);
    let (types, events) = history(&api, &job).await;
    assert_eq!(types, ["job.launched", "job.claimed"]);
    let states = api.get(&format!("/api/jobs/{job}/events?states=true")).await.expect(200);
    for (event, with_state) in events.iter().zip(states["events"].as_array().expect("events are a list")) {
        let mut bare = with_state.clone();
        let state = bare.as_object_mut().and_then(|event| event.remove("state")).expect("each has its state");
        assert_eq!((&bare, &state["parameters"]), (event, &parameters));
    }
}
