//! The client commands: what they print, for people and for programs, and their exit codes.

use std::process::{Output, Stdio};
use std::time::Duration;

use rivet_tests::client::Client;
use rivet_tests::sample::{
    entry, failure, id, launched, new_claimed_job, new_pipeline, new_pipeline_with, script, success,
};
use rivet_tests::server::{TestApp, program};
use rivet_tests::store::StoreKind;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

fn command(app: &TestApp, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(args).env_clear().kill_on_drop(true);
    command.env("RIVET_SERVER", format!("http://{}", app.server.address()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn run(app: &TestApp, args: &[&str]) -> Output {
    let mut process = command(app, args).spawn().expect("the program is built beside its tests");
    let _open_until_it_ends = process.stdin.take();
    process.wait_with_output().await.expect("it is our child")
}

async fn printed(app: &TestApp, args: &[&str]) -> String {
    let output = run(app, args).await;
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

async fn json_of(app: &TestApp, args: &[&str]) -> Value {
    let text = printed(app, &[args, &["--json"]].concat()).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
}

async fn refused(app: &TestApp, args: &[&str]) -> String {
    let output = run(app, args).await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{args:?}: {output:?}");
    String::from_utf8(output.stderr).expect("it prints UTF-8")
}

async fn app() -> TestApp {
    TestApp::start(StoreKind::Sqlite).await
}

fn lua_file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("the temporary directory can be written");
    std::fs::write(file.path(), text).expect("it can be written");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_goes_through_its_life() {
    let app = app().await;
    let (one, two) = (lua_file(&script("one", "")), lua_file(&script("two", "")));
    let (one, two) = (one.path().to_str().unwrap(), two.path().to_str().unwrap());
    let created = json_of(&app, &["pipeline", "create", one]).await;
    let pipeline = id(&created);
    assert_eq!(created["name"], "one");
    let long = "a name that is longer than any id can be";
    let named = json_of(&app, &["pipeline", "create", one, "--name", long]).await;
    assert_eq!(json_of(&app, &["pipeline", "get", long]).await["id"], named["id"]);
    printed(&app, &["pipeline", "delete", long]).await;

    // A pipeline can be given by the beginning of its id, and by its name.
    assert_eq!(json_of(&app, &["pipeline", "get", &pipeline[..13]]).await, created);
    assert_eq!(json_of(&app, &["pipeline", "revise", "one", two]).await["version"], 2);
    let versions = json_of(&app, &["pipeline", "versions", "two"]).await;
    assert_eq!(versions.as_array().map(Vec::len), Some(2));
    let diff = printed(&app, &["pipeline", "diff", "two"]).await;
    assert!(diff.starts_with("name: \"one\" -> \"two\"\n--- version 1\n+++ version 2\n"), "{diff}");
    assert_eq!(json_of(&app, &["pipeline", "rollback", "two", "1"]).await["version"], 3);
    let list = printed(&app, &["pipeline", "list"]).await;
    let [head, row] = list.lines().collect::<Vec<_>>()[..] else { panic!("{list}") };
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(head), ["ID", "NAME", "VERSION", "UPDATED", "DESCRIPTION"]);
    assert_eq!((&words(row)[0][..], &words(row)[1][..], &words(row)[2][..]), (&pipeline[..], "one", "3"));
    let shown = printed(&app, &["pipeline", "get", &pipeline]).await;
    assert!(shown.contains("version      3\n") && shown.contains(&script("one", "")), "{shown}");

    let job =
        json_of(&app, &["pipeline", "launch", "one", "-p", "n=1.10", "-p", "who=me", "--priority", "9"])
            .await;
    assert_eq!((&job["parameters"], &job["priority"]), (&json!({"n": "1.10", "who": "me"}), &json!(9)));
    let keyed = json_of(&app, &["pipeline", "launch", "one", "--key", "k"]).await;
    assert_eq!(json_of(&app, &["pipeline", "launch", "one", "--key", "k"]).await["id"], keyed["id"]);
    assert_eq!(printed(&app, &["pipeline", "delete", "one"]).await, "");
    let output = run(&app, &["pipeline", "list"]).await;
    assert_eq!((output.stdout.len(), &output.stderr[..]), (0, &b"there are no pipelines\n"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_its_group_names_the_one_that_holds_the_place() {
    let app = app().await;
    let api = app.client();
    let pipeline = new_pipeline_with(&api, &json!({"concurrency_group": "g"})).await;
    let (holder, waiting) = (launched(&api, &pipeline).await, launched(&api, &pipeline).await);
    api.claim(&holder, "r").await.expect(200);
    let shown = printed(&app, &["job", "get", &waiting]).await;
    let why = format!("waiting     place 1, concurrency, group g held by {holder}\n");
    assert!(shown.contains(&why), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_through_its_life() {
    let app = app().await;
    let api = app.client();
    let job = new_claimed_job(&api, "r1").await;
    let waiting = launched(&api, &new_pipeline(&api).await).await;
    let running = json_of(&app, &["job", "list", "--status", "Running"]).await;
    assert_eq!(running.as_array().map(|jobs| jobs.iter().map(id).collect()), Some(vec![job.clone()]));
    let table = printed(&app, &["job", "list"]).await;
    assert!(table.lines().nth(1).is_some_and(|line| line.contains("Queued")), "{table}");
    assert!(
        table.lines().nth(2).is_some_and(|line| line.contains("Running") && line.contains("r1")),
        "{table}"
    );

    let shown = printed(&app, &["job", "get", &waiting]).await;
    assert!(
        shown.contains("status      Queued (queued)\n")
            && shown.contains("priority    5\n")
            && shown.contains("waiting     place 1, "),
        "{shown}"
    );
    let reason = "not\n\u{1b}[2Jnow";
    let cancelled = json_of(&app, &["job", "cancel", &waiting, "--reason", reason]).await;
    assert_eq!((&cancelled["status"], &cancelled["reason"]), (&json!("Cancelled"), &json!(reason)));
    assert!(printed(&app, &["job", "get", &waiting]).await.contains("reason      not now\n"));
    let events = printed(&app, &["job", "events", &waiting]).await;
    let [_, launched, cancel] = events.lines().collect::<Vec<_>>()[..] else { panic!("{events}") };
    assert!(launched.contains("job.launched") && launched.contains("Queued"), "{events}");
    assert!(
        cancel.contains("job.cancelled") && cancel.contains("client") && cancel.contains("rivet-cli/"),
        "{events}"
    );

    api.complete(&job, &failure()).await.expect(204);
    assert!(printed(&app, &["job", "get", &job]).await.contains("error       exit code 3\n"));
    let failed = printed(&app, &["job", "list", "--status", "Failed"]).await;
    assert!(failed.lines().nth(1).is_some_and(|line| line.ends_with("exit code 3")), "{failed}");
    let retried = json_of(&app, &["job", "retry", &job, "--key", "one"]).await;
    assert_eq!(retried["retry_of"], job);
    assert_eq!(json_of(&app, &["job", "retry", &job, "--key", "one"]).await["id"], retried["id"]);
    let launch = json_of(&app, &["job", "events", &job]).await["events"][0]["position"].to_string();
    assert_eq!(json_of(&app, &["job", "get", &job, "--at", &launch]).await["status"], "Queued");
    let runners = printed(&app, &["runner", "list"]).await;
    assert!(
        runners.lines().nth(1).is_some_and(|line| line.starts_with("r1") && line.contains("(everything)")),
        "{runners}"
    );
    assert_eq!(json_of(&app, &["runner", "list"]).await[0]["id"], "r1");
}

async fn log(api: &Client, job: &str, messages: &[&str]) {
    let entries: Vec<Value> = messages.iter().map(|message| entry(message)).collect();
    api.append_logs(job, &json!(entries)).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_to_the_end_of_its_job() {
    let app = app().await;
    let api = app.client();
    let job = new_claimed_job(&api, "r1").await;
    log(&api, &job, &["one", "two\n\n\u{1b}[31mlines\u{1b}[0m\n", ""]).await;
    let whole = "03:04:05 Info    one\n03:04:05 Info    two\n03:04:05 Info    \n03:04:05 Info    lines\n03:04:05 Info    \n";
    assert_eq!(printed(&app, &["job", "logs", &job]).await, whole);

    let mut follow = command(&app, &["job", "logs", "--follow", "--json", &job]).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = async || -> Option<(u64, String)> {
        let line = tokio::time::timeout(Duration::from_mins(2), lines.next_line()).await.unwrap().unwrap()?;
        let entry: Value = serde_json::from_str(&line).unwrap();
        Some((entry["index"].as_u64().unwrap(), entry["message"].as_str().unwrap().to_owned()))
    };
    assert_eq!(next().await, Some((1, "one".to_owned())));
    assert_eq!(next().await, Some((2, "two\n\n\u{1b}[31mlines\u{1b}[0m\n".to_owned())));
    assert_eq!(next().await, Some((3, String::new())));
    log(&api, &job, &["four"]).await;
    assert_eq!(next().await, Some((4, "four".to_owned())));
    log(&api, &job, &["five"]).await;
    api.complete(&job, &success()).await.expect(204);
    assert_eq!(next().await, Some((5, "five".to_owned())));
    assert_eq!(next().await, None);
    assert!(follow.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_is_told_that_the_server_is_away() {
    let app = app().await;
    let job = rivet_tests::sample::UNKNOWN;
    let nobody = ["job", "logs", "--follow", job, "--server", "http://127.0.0.1:1"];
    let mut follow = command(&app, &nobody).spawn().unwrap();
    let mut said = BufReader::new(follow.stderr.take().unwrap()).lines();
    let line =
        tokio::time::timeout(Duration::from_mins(2), said.next_line()).await.unwrap().unwrap().unwrap();
    assert!(
        line.starts_with("no answer from http://127.0.0.1:1/: ") && line.ends_with("; trying again"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_that_is_followed_ends_as_its_job_does() {
    let app = app().await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    for (result, code) in [(success(), 0), (failure(), 1)] {
        let mut launch = command(&app, &["pipeline", "launch", &pipeline, "--follow"]).spawn().unwrap();
        let _open_until_it_ends = launch.stdin.take();
        let claimed = api.claim_next("r1", 30_000).await.expect(200);
        let job = claimed["job_id"].as_str().unwrap();
        log(&api.holding(&claimed), job, &["at work"]).await;
        api.holding(&claimed).complete(job, &result).await.expect(204);
        let output = launch.wait_with_output().await.unwrap();
        assert_eq!(
            (output.status.code(), &output.stdout[..]),
            (Some(code), &b"03:04:05 Info    at work\n"[..]),
            "{output:?}"
        );
        let shown = printed(&app, &["job", "get", job]).await;
        assert_eq!(shown.contains("output      {\"artifacts\":2}\n"), code == 0, "{shown}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with(&format!("job {job}\n")), "{said}");
        assert_eq!(said.contains(&format!("error: job {job} is Failed: exit code 3")), code == 1, "{said}");
    }
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
async fn jobs_are_listed_past_a_page_and_found_by_their_beginning() {
    let app = app().await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let mut jobs = Vec::new();
    // Two more than a page of the client holds.
    for _ in 0..102 {
        jobs.push(launched(&api, &pipeline).await);
    }
    let newest: Vec<String> = jobs.iter().rev().take(101).cloned().collect();
    let list = json_of(&app, &["job", "list", "--limit", "101"]).await;
    assert_eq!(list.as_array().unwrap().iter().map(id).collect::<Vec<String>>(), newest);

    let first = &jobs[0];
    assert_eq!(id(&json_of(&app, &["job", "get", &first[..35].to_uppercase()]).await), *first);
    // The first eight characters of an id are the launch time, to about a minute.
    let said = refused(&app, &["job", "get", &first[..7], "--json"]).await;
    assert!(said.contains("too short: give 8 characters of the id"), "{said}");
    let said = refused(&app, &["job", "cancel", &jobs[50][..8]]).await;
    assert!(said.contains("stands for several jobs") && said.contains("give more of the id"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_the_server_said() {
    let app = app().await;
    let api = app.client();
    let job = new_claimed_job(&api, "r1").await;
    api.complete(&job, &success()).await.expect(204);
    let said = refused(&app, &["job", "cancel", &job]).await;
    assert!(said.starts_with("error: ") && said.ends_with("(409 already_ended)\n"), "{said}");
    let unknown = rivet_tests::sample::UNKNOWN;
    let said = refused(&app, &["job", "get", unknown]).await;
    assert_eq!(said, format!("error: there is no job {unknown} (404 job_not_found)\n"));
    assert!(refused(&app, &["job", "logs", "--follow", unknown]).await.contains("job_not_found"));
    assert!(refused(&app, &["job", "get", "ffffffff"]).await.contains("there is no job \"ffffffff\""));
    assert!(refused(&app, &["job", "get", "ffff"]).await.contains("too short"));
    assert!(refused(&app, &["job", "get", "r1-or-else"]).await.contains("not the beginning of an id"));
    // Every id of this century begins with this digit.
    new_pipeline(&api).await;
    assert!(refused(&app, &["pipeline", "get", "0"]).await.contains("give more of the id"));
    let file = lua_file("return 1");
    let said = refused(&app, &["pipeline", "create", file.path().to_str().unwrap()]).await;
    assert!(
        said.ends_with(
            "(422 invalid_definition)
"
        ),
        "{said}"
    );
    assert!(refused(&app, &["pipeline", "create", "/no/such/file"]).await.contains("cannot be read"));

    let nobody = ["--server", "http://127.0.0.1:1"];
    let said = refused(&app, &[&["job", "list"], &nobody[..]].concat()).await;
    assert!(said.starts_with("error: no answer from http://127.0.0.1:1/: "), "{said}");
    assert_eq!(run(&app, &["job", "list", "--server", "nowhere"]).await.status.code(), Some(2));
    for parameter in ["novalue", "=1", "s={bad"] {
        let launch = run(&app, &["pipeline", "launch", "x", "-p", parameter]).await;
        assert_eq!(launch.status.code(), Some(2), "{parameter}");
    }
    let said = refused(&app, &["pipeline", "launch", "x", "-p", "n=1", "-p", "n=2"]).await;
    assert_eq!(said, "error: the parameter n is given more than once\n");
}

/// The completions that bash offers for the last of these words.
async fn completed_by_bash(app: &TestApp, words: &[&str]) -> Vec<String> {
    let script = printed(app, &["completions", "bash"]).await;
    let (line, last) = (words.join(" "), words.len());
    let ask = format!(
        "{script}\nCOMP_WORDS=(rivet-orchestrator {line}); COMP_CWORD={last}
        _rivet__orchestrator rivet-orchestrator \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"
        printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let output = Command::new("bash").args(["-c", &ask]).output().await.expect("there is a bash");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_and_manuals_know_the_commands() {
    let app = app().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&app, &["completions", shell]).await;
        for word in ["pipeline", "follow", "runner"] {
            assert!(script.contains(word), "{word} in the completions of {shell}");
        }
        assert!(!script.contains("read-definition"), "hidden commands stay hidden");
    }
    assert_eq!(completed_by_bash(&app, &["job", "lo"]).await, ["logs"]);
    assert_eq!(completed_by_bash(&app, &["job", "logs", "--fol"]).await, ["--follow"]);
    assert!(printed(&app, &["man"]).await.contains(".TH rivet-orchestrator 1"));
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    printed(&app, &["man", "--dir", directory.path().to_str().unwrap()]).await;
    let page = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert!(page("rivet-orchestrator-runner-list.1").contains("List the runners of a server"));
    let page = page("rivet-orchestrator-job-logs.1");
    assert!(
        page.contains("Follow the log until the job has ended") && page.contains("RIVET_SERVER"),
        "{page}"
    );
}
