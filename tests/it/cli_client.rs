//! The client commands: what they print, for people and for programs, and their exit codes.

mod jobs;
mod pipelines;
mod shells;

use std::process::Output;

use rivet_tests::client::Client;
use rivet_tests::program::{self, client_command, complaint, finish, spawn};
use rivet_tests::receiver::Receiver;
use rivet_tests::sample::{UNKNOWN, entry, new_ended_job, new_pipeline, script};
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use serde_json::{Value, json};
use tokio::process::Child;

async fn app() -> TestApp {
    TestApp::start(StoreKind::Sqlite).await
}

fn begin(app: &TestApp, args: &[&str]) -> Child {
    spawn(&mut client_command(app.server.url(), args))
}

async fn run(app: &TestApp, args: &[&str]) -> Output {
    finish(begin(app, args)).await
}

async fn printed(app: &TestApp, args: &[&str]) -> String {
    program::printed(&run(app, args).await).to_owned()
}

async fn json_of(app: &TestApp, args: &[&str]) -> Value {
    let text = printed(app, &[args, &["--json"]].concat()).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
}

async fn refused(app: &TestApp, args: &[&str]) -> String {
    complaint(&run(app, args).await, 1).to_owned()
}

fn lua_file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("the temporary directory can be written");
    std::fs::write(file.path(), text).expect("it can be written");
    file
}

async fn log(api: &Client, job: &str, messages: &[&str]) {
    let entries: Vec<Value> = messages.iter().map(|message| entry(message)).collect();
    api.append_logs(job, &json!(entries)).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_runners_and_all_versions_are_listed() {
    let app = app().await;
    let api = app.client();
    // One more than a page of the server holds.
    for n in 0..=500 {
        api.register(&format!("r{n}"), &[]).await.expect(200);
    }
    assert_eq!(json_of(&app, &["runner", "list"]).await.as_array().map(Vec::len), Some(501));
    let pipeline = new_pipeline(&api).await;
    let other = json!({"script": script("other", "")});
    api.revise(&pipeline, &other).await.expect(200);
    for version in 1..=99 {
        let restore = json!({"version": version});
        api.post(&format!("/api/pipeline/{pipeline}/rollback"), &restore).await.expect(200);
    }
    let versions = printed(&app, &["pipeline", "versions", &pipeline]).await;
    assert_eq!(versions.lines().count(), 1 + 101, "{versions}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_the_server_said() {
    let app = app().await;
    let api = app.client();
    let job = new_ended_job(&api).await;
    let said = refused(&app, &["job", "cancel", &job]).await;
    assert!(said.starts_with("error: ") && said.ends_with("(409 already_ended)\n"), "{said}");
    let said = refused(&app, &["job", "get", UNKNOWN]).await;
    assert_eq!(said, format!("error: there is no job {UNKNOWN} (404 job_not_found)\n"));
    assert!(refused(&app, &["job", "logs", "--follow", UNKNOWN]).await.contains("job_not_found"));
    assert!(refused(&app, &["job", "get", "ffffffff"]).await.contains("there is no job \"ffffffff\""));
    assert!(refused(&app, &["job", "get", "ffff"]).await.contains("too short"));
    assert!(refused(&app, &["job", "get", "r1-or-else"]).await.contains("not the beginning of an id"));
    // Every id of this century begins with this digit.
    new_pipeline(&api).await;
    assert!(refused(&app, &["pipeline", "get", "0"]).await.contains("give more of the id"));
    let file = lua_file("return 1");
    let said = refused(&app, &["pipeline", "create", file.path().to_str().unwrap()]).await;
    assert!(said.ends_with("(422 invalid_definition)\n"), "{said}");
    assert!(refused(&app, &["pipeline", "create", "/no/such/file"]).await.contains("cannot be read"));

    let nobody = ["--server", "http://127.0.0.1:1"];
    let said = refused(&app, &[&["job", "list"], &nobody[..]].concat()).await;
    assert!(said.starts_with("error: no answer from http://127.0.0.1:1/: "), "{said}");
    let elsewhere = Receiver::start().await;
    elsewhere.answer_always(Some("301 Moved Permanently\r\nlocation: https://ci/rivet"));
    let redirecting = elsewhere.url("/");
    for command in [&["job", "retry", UNKNOWN][..], &["job", "logs", "--follow", UNKNOWN]] {
        let said = refused(&app, &[command, &["--server", &redirecting]].concat()).await;
        assert_eq!(said, "error: the server redirects to \"https://ci/rivet\": give that as --server\n");
    }
    assert_eq!(elsewhere.received().len(), 2);
    assert_eq!(run(&app, &["job", "list", "--server", "nowhere"]).await.status.code(), Some(2));
    for parameter in ["novalue", "=1", "s={bad"] {
        let launch = run(&app, &["pipeline", "launch", "x", "-p", parameter]).await;
        assert_eq!(launch.status.code(), Some(2), "{parameter}");
    }
    let twice = run(&app, &["pipeline", "launch", "x", "-p", "n=1", "-p", "n=2"]).await;
    let said = complaint(&twice, 2);
    assert!(said.starts_with("error: the parameter n is given more than once\n"), "{said}");
    assert!(said.contains(" pipeline launch [OPTIONS] "), "{said}");
}
