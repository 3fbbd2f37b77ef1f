//! Versions of a pipeline: revising, comparing, rolling back, and the version that a job keeps.

mod long_history;

use rivet_tests::client::{Answer, Client};
use rivet_tests::on_both_stores;
use rivet_tests::sample::{UNKNOWN, id, launched, new_pipeline, pipeline, script, success};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use serde_json::{Value, json};

on_both_stores! {
    a_revision_is_the_next_version,
    a_revision_is_checked_as_a_creation_is,
    a_revision_that_changes_nothing_is_no_version,
    a_job_runs_the_version_it_was_launched_with,
    a_rollback_runs_an_old_version_anew,
    a_difference_is_told_in_script_and_settings,
    versions_outlive_their_pipeline,
    of_racing_revisions_each_is_a_version,
    a_revision_of_a_version_that_is_not_current_is_refused,
}

async fn roll_back(api: &Client, id: &str, version: u32) -> Answer {
    api.post(&format!("/api/pipeline/{id}/rollback"), &json!({"version": version})).await
}

async fn versions(api: &Client, id: &str) -> Vec<Value> {
    api.get(&format!("/api/pipeline/{id}/versions")).await.expect(200).as_array().unwrap().clone()
}

/// The sample pipeline with another script.
fn with_script(text: &str) -> Value {
    let mut request = pipeline("build");
    request["script"] = json!(text);
    request
}

async fn a_revision_is_the_next_version(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let created = api.create_pipeline(&pipeline("build")).await.expect(200);
    let id = id(&created);
    let answer = api.revise(&id, &pipeline("release")).await;
    let revised = answer.expect(200);
    assert_eq!((&revised["version"], &revised["name"]), (&json!(2), &json!("release")));
    assert_eq!((&revised["id"], &revised["created_at"]), (&created["id"], &created["created_at"]));
    assert_eq!(api.get(&format!("/api/pipeline/{id}")).await.expect(200), revised);
    assert_eq!(api.get("/api/pipeline/list").await.expect(200), json!([revised]));

    let [second, first] = &versions(&api, &id).await[..] else { panic!("two versions") };
    assert_eq!(
        (&second["version"], &second["name"], &second["current"]),
        (&json!(2), &json!("release"), &json!(true))
    );
    assert_eq!(
        (&first["version"], &first["name"], &first["current"]),
        (&json!(1), &json!("build"), &json!(false))
    );
    assert_eq!((&first["script"], &first["created_at"]), (&created["script"], &created["created_at"]));
    assert_eq!((&second["actor"], &second["restores"]), (&json!("client"), &json!(null)));

    let detail = api.get(&format!("/api/pipeline/{id}/versions/2")).await.expect(200);
    for member in ["name", "description", "script", "tags", "config", "demands", "inputs", "required_modules"]
    {
        assert_eq!(detail[member], revised[member], "{member}");
    }
    assert_eq!(detail["position"], answer.position());
    assert_eq!(detail["request_id"], answer.header("x-request-id").unwrap());
    for number in ["0", "3"] {
        let found = api.get(&format!("/api/pipeline/{id}/versions/{number}")).await;
        found.expect_refusal(404, "version_not_found");
    }
    api.get(&format!("/api/pipeline/{id}/versions/one")).await.expect_refusal(400, "invalid_path");
    app.verify().await;
}

async fn a_revision_is_checked_as_a_creation_is(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let id = new_pipeline(&api).await;
    for (body, code) in [
        (json!({"name": " ", "script": ""}), "invalid_body"),
        (json!({"script": "return 1"}), "invalid_definition"),
        (json!({"name": "loop", "script": "while true do end"}), "definition_limit"),
        (json!({"name": "n", "script": "", "config": {"timeout_seconds": 0}}), "invalid_body"),
        (json!({"name": "no script"}), "invalid_body"),
    ] {
        api.revise(&id, &body).await.expect_refusal(422, code);
    }
    api.revise(UNKNOWN, &pipeline("build")).await.expect_refusal(404, "pipeline_not_found");
    roll_back(&api, UNKNOWN, 1).await.expect_refusal(404, "pipeline_not_found");
    assert_eq!(versions(&api, &id).await.len(), 1);
}

async fn a_revision_that_changes_nothing_is_no_version(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let created = api.create_pipeline(&pipeline("build")).await;
    let id = id(&created.expect(200));
    let same = api.revise(&id, &pipeline("build")).await;
    assert_eq!((same.expect(200), same.position()), (created.json(), created.position()));
    assert_eq!(versions(&api, &id).await.len(), 1);
}

async fn a_job_runs_the_version_it_was_launched_with(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let id = id(&api.create_pipeline(&with_script("-- old")).await.expect(200));
    let before = launched(&api, &id).await;
    let mut new = with_script("-- new");
    new["config"]["env_vars"] = json!({"LEVEL": "2"});
    api.revise(&id, &new).await.expect(200);
    let after = launched(&api, &id).await;
    for (job, version, text, level) in [(&before, 1, "-- old", "1"), (&after, 2, "-- new", "2")] {
        assert_eq!(api.job(job).await.expect(200)["pipeline_version"], version);
        let claimed = api.claim(job, "r1").await.expect(200);
        assert_eq!(
            (&claimed["pipeline_source"], &claimed["env_vars"]["LEVEL"]),
            (&json!(text), &json!(level))
        );
    }
    // A retry by hand runs the same version as the job that it repeats.
    api.complete(&before, &success()).await.expect(204);
    assert_eq!(api.retry(&before).await.expect(200)["pipeline_version"], 1);
}

async fn a_rollback_runs_an_old_version_anew(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let first = api.create_pipeline(&pipeline("one")).await.expect(200);
    let id = id(&first);
    api.revise(&id, &pipeline("two")).await.expect(200);
    let back = roll_back(&api, &id, 1).await.expect(200);
    assert_eq!(
        (&back["version"], &back["name"], &back["script"]),
        (&json!(3), &json!("one"), &first["script"])
    );
    let lineage: Vec<Value> = versions(&api, &id).await.iter().map(|v| v["restores"].clone()).collect();
    assert_eq!(lineage, [json!(1), json!(null), json!(null)]);
    let job = launched(&api, &id).await;
    assert_eq!(api.claim(&job, "r1").await.expect(200)["pipeline_source"], first["script"]);

    // This version is already current, so nothing changes.
    assert_eq!(roll_back(&api, &id, 1).await.expect(200)["version"], 3);
    roll_back(&api, &id, 9).await.expect_refusal(404, "version_not_found");
    api.post(&format!("/api/pipeline/{id}/rollback"), &json!({})).await.expect_refusal(422, "invalid_body");
    app.verify().await;
}

async fn a_difference_is_told_in_script_and_settings(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let id = id(&api.create_pipeline(&with_script("-- a\n-- b\n")).await.expect(200));
    let mut revised = with_script("-- a\n-- c\n");
    revised["config"]["max_retries"] = json!(3);
    api.revise(&id, &revised).await.expect(200);
    let diff = |query: &str| {
        let path = format!("/api/pipeline/{id}/diff{query}");
        let api = api.clone();
        async move { api.get(&path).await }
    };
    let expected = json!({
        "pipeline_id": id, "from": 1, "to": 2,
        "script": "--- version 1\n+++ version 2\n@@ -1,2 +1,2 @@\n -- a\n--- b\n+-- c\n",
        "settings": [{"setting": "config.max_retries", "from": 0, "to": 3}],
    });
    assert_eq!(diff("").await.expect(200), expected);
    assert_eq!(diff("?from=1&to=2").await.expect(200), expected);
    let back = diff("?from=2&to=1").await.expect(200);
    assert_eq!(back["settings"], json!([{"setting": "config.max_retries", "from": 3, "to": 0}]));
    let same = diff("?from=2").await.expect(200);
    assert_eq!((&same["script"], &same["settings"]), (&json!(""), &json!([])));
    diff("?from=3").await.expect_refusal(404, "version_not_found");
    diff("?from=x").await.expect_refusal(400, "invalid_query");
}

async fn versions_outlive_their_pipeline(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let id = new_pipeline(&api).await;
    api.delete(&format!("/api/pipeline/{id}")).await.expect(204);
    let [only] = &versions(&api, &id).await[..] else { panic!("one version") };
    assert_eq!(only["current"], false);
    api.revise(&id, &pipeline("late")).await.expect_refusal(404, "pipeline_not_found");
    roll_back(&api, &id, 1).await.expect_refusal(404, "pipeline_not_found");
    api.get(&format!("/api/pipeline/{UNKNOWN}/versions")).await.expect_refusal(404, "pipeline_not_found");
}

async fn of_racing_revisions_each_is_a_version(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let id = new_pipeline(&api).await;
    let bodies: Vec<Value> = (0..8).map(|n| json!({"script": script(&format!("n{n}"), "")})).collect();
    let answers = futures_util::future::join_all(bodies.iter().map(|body| api.revise(&id, body))).await;
    let mut numbers: Vec<u64> = Vec::new();
    for answer in answers {
        // Only four definitions are read at a time; the other requests are repeated.
        if answer.status == 200 {
            numbers.extend(answer.json()["version"].as_u64());
        } else {
            answer.expect_refusal(503, "overloaded");
        }
    }
    numbers.sort_unstable();
    let expected: Vec<u64> = (2..).take(numbers.len()).collect();
    assert!(!numbers.is_empty() && numbers == expected, "{numbers:?}");
}

async fn a_revision_of_a_version_that_is_not_current_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let api = app.client();
    let id = new_pipeline(&api).await;
    let second = api.with("if-match", "\"1\"").revise(&id, &pipeline("second")).await.expect(200);
    assert_eq!(second["version"], 2);
    let refused = api.with("if-match", "\"1\"").revise(&id, &pipeline("third")).await;
    refused.expect_refusal(412, "version_changed");
    // The same request again, as after a lost answer.
    let again = api.with("if-match", "\"1\"").revise(&id, &pipeline("second")).await.expect(200);
    assert_eq!(again, second);
    assert_eq!(versions(&api, &id).await.len(), 2);
    let revise = async |tag: &str, name: &str| api.with("if-match", tag).revise(&id, &pipeline(name)).await;
    for tag in ["2", "\"2"] {
        revise(tag, "third").await.expect_refusal(400, "invalid_header");
    }
    // A weak tag never matches.
    for tag in ["W/\"2\"", "\"two\"", "\"1\", W/\"2\""] {
        revise(tag, "third").await.expect_refusal(412, "version_changed");
    }
    let tag = api.get(&format!("/api/pipeline/{id}")).await.header("etag").map(str::to_owned);
    assert_eq!(tag.as_deref(), Some("\"2\""));
    assert_eq!(revise("\"1\", \"2\"", "third").await.header("etag"), Some("\"3\""));
    assert_eq!(revise("*", "fourth").await.expect(200)["version"], 4);
    let (outdated, current) = (api.with("if-match", "\"3\""), api.with("if-match", "\"4\""));
    roll_back(&outdated, &id, 1).await.expect_refusal(412, "version_changed");
    outdated.delete(&format!("/api/pipeline/{id}")).await.expect_refusal(412, "version_changed");
    let restored = roll_back(&current, &id, 1).await.expect(200);
    assert_eq!(restored["version"], 5);
    // The same request again.
    assert_eq!(roll_back(&current, &id, 1).await.expect(200), restored);
    api.with("if-match", "\"5\"").delete(&format!("/api/pipeline/{id}")).await.expect(204);
}
