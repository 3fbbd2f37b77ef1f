//! The whole flow as the clients of dialect B speak it: definitions in Lua, no capabilities, bare bodies.

use rivet_tests::on_both_stores;
use rivet_tests::sample::{entry, id, ids, script, success};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use serde_json::json;

on_both_stores! { a_job_goes_from_launch_to_result, a_failed_job_is_read_back_as_failed }

async fn a_job_goes_from_launch_to_result(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    api.register_unrestricted("b-1").await.expect(200);

    let source =
        script("from lua", "description = 'all in Lua', runner = { { key = 'os', value = 'linux' } },");
    let created = api.create_pipeline(&json!({"script": source})).await.expect(200);
    assert_eq!(created["name"], "from lua");
    assert_eq!(created["description"], "all in Lua");
    assert_eq!(created["script"], source);
    assert_eq!(created["tags"], json!([{"key": "os", "value": "linux"}]));
    assert!(created["config"]["env_vars"].is_object(), "{created}");

    let launched = api.launch(&id(&created), &json!({})).await.expect(200);
    let job = id(&launched);
    assert_eq!(ids(&api.scheduled(None).await.expect(200)), [job.as_str()]);

    let execution = api.execute(&job, "b-1").await.expect(200);
    assert_eq!(execution["job_id"], launched["id"]);
    assert_eq!(execution["pipeline_source"], source);
    assert_eq!(execution["parameters"], json!({}));

    api.append_bare_logs(&job, &json!([entry("the whole output\nof a command")])).await.expect(201);
    api.complete_as(&job, "Succeeded", &success()).await.expect(204);
    let ended = api.job(&job).await.expect(200);
    assert_eq!(ended["status"], "Succeeded");
    assert_eq!(ended["result"], success());
    assert_eq!(api.logs(&job).await.expect(200)[0]["message"], "the whole output\nof a command");
}

async fn a_failed_job_is_read_back_as_failed(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let created = api.create_pipeline(&json!({"script": script("b", "")})).await.expect(200);
    let job = id(&api.launch(&id(&created), &json!({})).await.expect(200));
    api.execute(&job, "never registered").await.expect(200);
    let result = json!({"success": false, "exit_code": -1, "error_message": "killed"});
    api.complete_as(&job, "Failed", &result).await.expect(204);
    let ended = api.job(&job).await.expect(200);
    assert_eq!(ended["status"], "Failed");
    assert_eq!(ended["result"]["exit_code"], -1);
    assert_eq!(ended["result"]["error_message"], "killed");
}
