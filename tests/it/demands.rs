//! What a script says of its pipeline: its demands, inputs and configuration, in both dialects; what the request says
//! wins.

use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::sample::{id, ids, script};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rivet_tests::verify::head;
use serde_json::{Value, json};

on_both_stores! {
    a_job_goes_only_to_a_runner_with_what_its_script_demands,
    what_is_no_definition_is_kept_as_it_is_under_the_name_of_the_request,
}

const FIELDS: &str = "description = 'of the script', requires = { 'docker' }, plugins = { 'cache' },
    runner = { { key = 'os', value = 'linux' } },
    inputs = { branch = { type = 'string', required = true, options = { 'main', 'next' } } },
    config = { max_retries = 2, timeout_seconds = 60 },";

async fn a_job_goes_only_to_a_runner_with_what_its_script_demands(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let script = script("of the script", FIELDS);
    let of_the_script = created(&api, &json!({"script": script})).await;
    assert_eq!(of_the_script["name"], "of the script");
    assert_eq!(of_the_script["description"], "of the script");
    assert_eq!((max_retries(&of_the_script), timeout(&of_the_script)), (&json!(2), &json!(60)));
    let of_both = created(
        &api,
        &json!({"script": script, "name": "mine", "description": "my own", "config": {"max_retries": 5}}),
    )
    .await;
    assert_eq!((&of_both["name"], &of_both["description"]), (&json!("mine"), &json!("my own")));
    assert_eq!((max_retries(&of_both), timeout(&of_both)), (&json!(5), &json!(60)));

    api.register("half", &["docker"]).await.expect(200);
    api.register("able", &["docker", "os=linux", "gpu"]).await.expect(200);
    for pipeline in [of_the_script, of_both] {
        assert_eq!(pipeline["demands"], json!(["docker", "os=linux"]));
        assert_eq!(pipeline["required_modules"], json!(["docker"]));
        let pipeline = id(&pipeline);
        for parameters in [json!({}), json!({"branch": "other"}), json!({"branch": 7})] {
            let refused = api.launch(&pipeline, &parameters).await.expect_refusal(422, "invalid_parameters");
            assert!(refused["error"].as_str().is_some_and(|error| error.contains("branch")), "{refused}");
        }
        let job = id(&api.launch(&pipeline, &json!({"branch": "main"})).await.expect(200));
        assert_eq!(ids(&api.scheduled(Some("half")).await.expect(200)), Vec::<String>::new());
        api.claim_next("half", 0).await.expect(204);
        for claimed in [api.claim(&job, "half").await, api.execute(&job, "half").await] {
            claimed.expect_refusal(409, "capability_missing");
        }
        assert_eq!(ids(&api.scheduled(Some("able")).await.expect(200)), [job.as_str()]);
        api.claim(&job, "able").await.expect(200);
    }
}

async fn created(api: &Client, request: &Value) -> Value {
    api.create_pipeline(request).await.expect(200)
}

fn max_retries(pipeline: &Value) -> &Value {
    &pipeline["config"]["max_retries"]
}

fn timeout(pipeline: &Value) -> &Value {
    &pipeline["config"]["timeout_seconds"]
}

async fn what_is_no_definition_is_kept_as_it_is_under_the_name_of_the_request(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let with_a_mistake = script("p", "requires = { 'docker', '' },");
    for script in ["return {}", "return 7", "log.info('hello')", "error('no')", &with_a_mistake] {
        let created = created(&api, &json!({"script": script, "name": "named"})).await;
        assert_eq!((&created["script"], &created["demands"]), (&json!(script), &json!([])), "{created}");
        let before = head(&api).await;
        api.create_pipeline(&json!({"script": script})).await.expect_refusal(422, "invalid_definition");
        assert_eq!(head(&api).await, before);
    }
}
