//! The whole flow as the clients of dialect A speak it: named pipelines, capabilities, wrapped bodies.

use rivet_tests::on_both_stores;
use rivet_tests::sample::{entry, id, ids, pipeline, success};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use serde_json::json;

on_both_stores! { a_job_goes_from_launch_to_result, the_script_stubs_are_offered }

async fn a_job_goes_from_launch_to_result(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.get("/api/health").await.expect(200);

    let runner = api.register("runner 1/ä", &["docker", "linux"]).await.expect(200);
    assert_eq!(runner["id"], "runner 1/ä");
    assert_eq!(runner["capabilities"], json!(["docker", "linux"]));
    assert_eq!(runner["capability_count"], 2);
    assert_eq!(runner["status"], "Online");

    let mut request = pipeline("nightly build");
    request["required_modules"] = json!(["docker"]);
    let created = api.create_pipeline(&request).await.expect(200);
    for member in ["name", "description", "script", "required_modules", "tags"] {
        assert_eq!(created[member], request[member], "{member}");
    }
    for member in ["timeout_seconds", "max_retries", "env_vars"] {
        assert_eq!(created["config"][member], request["config"][member], "{member}");
    }

    let launched = api.launch(&id(&created), &json!({"branch": "main"})).await.expect(200);
    let job = id(&launched);
    assert_eq!(launched["status"], "Queued");
    assert_eq!(launched["pipeline_id"], created["id"]);
    assert_eq!(launched["parameters"], json!({"branch": "main"}));
    for member in ["started_at", "completed_at", "runner_id", "result"] {
        assert!(launched[member].is_null(), "{member}: {launched}");
    }

    let runner = "runner%201%2F%C3%A4";
    let offered = api.scheduled(Some(runner)).await.expect(200);
    assert_eq!(ids(&offered), [job.as_str()]);

    let execution = api.claim(&job, "runner 1/ä").await.expect(200);
    assert_eq!(execution["job_id"], launched["id"]);
    assert_eq!(execution["pipeline_id"], created["id"]);
    assert_eq!(execution["pipeline_source"], request["script"]);
    assert_eq!(execution["parameters"], launched["parameters"]);
    assert_eq!(ids(&api.scheduled(Some(runner)).await.expect(200)), Vec::<String>::new());

    api.set_status(&job, "Running").await.expect(204);
    api.append_logs(&job, &json!([entry("one"), entry("two")])).await.expect(201);
    let beat = api.heartbeat(runner).await;
    assert!((200..300).contains(&beat.status), "{beat:?}");
    assert_eq!(api.get(&format!("/api/runners/{runner}")).await.expect(200)["status"], "Busy");

    api.complete(&job, &success()).await.expect(204);
    let ended = api.job(&job).await.expect(200);
    assert_eq!(ended["status"], "Succeeded");
    assert_eq!(ended["runner_id"], "runner 1/ä");
    assert_eq!(ended["result"], success());
    assert!(ended["started_at"].is_string() && ended["completed_at"].is_string(), "{ended}");

    let logs = api.logs(&job).await.expect(200);
    assert_eq!(logs[0]["message"], "one");
    assert_eq!(logs[1]["message"], "two");
    assert_eq!(logs[0]["level"], "Info");
    assert_eq!(ids(&api.get("/api/jobs").await.expect(200)), [job.as_str()]);
    assert_eq!(ids(&api.get(&format!("/api/jobs/pipeline/{}", id(&created))).await.expect(200)), [job]);
    assert_eq!(ids(&api.get("/api/pipeline/list").await.expect(200)), [id(&created)]);
}

async fn the_script_stubs_are_offered(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let names = api.get("/api/stubs").await.expect(200);
    let names = names.as_array().expect("stubs are a list");
    assert!(!names.is_empty());
    for name in names {
        let name = name.as_str().expect("a stub has a name");
        let stub = api.get(&format!("/api/stubs/{name}")).await.expect(200);
        assert_eq!(stub["name"], format!("{}.lua", name.trim_end_matches(".lua")));
        assert!(stub["content"].as_str().is_some_and(|content| !content.is_empty()));
    }
    api.get("/api/stubs/nothing").await.expect_refusal(404, "stub_not_found");
}
