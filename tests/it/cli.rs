//! The commands other than `serve`: what they print, and their exit codes.

use reqwest::Method;
use rivet_tests::on_both_stores;
use rivet_tests::program::{command, complaint, finish, json_lines, printed, run, run_on, spawn};
use rivet_tests::sample::new_ended_job;
use rivet_tests::server::{Server, TestApp};
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::wait::eventually;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

on_both_stores! {
    a_replay_tells_what_each_event_changed,
    the_events_of_the_log_are_those_of_the_api,
    a_tail_shows_what_happens_after_it_began,
    a_damaged_read_model_is_found_and_rebuilt,
    a_store_of_another_build_is_left_alone,
}

async fn a_replay_tells_what_each_event_changed(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let job = new_ended_job(&app.client()).await;

    let replay = run_on(&app.store, &["replay", &format!("job/{job}")]).await;
    let (mut events, mut states) = (Vec::new(), Vec::new());
    for line in printed(&replay).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["+" | "~", "state", "=", state] => states.push(state.trim_matches('"').to_owned()),
            ["+" | "~" | "-", ..] => {}
            [_, _, event, ..] => events.push(event.to_owned()),
            _ => panic!("{line:?}"),
        }
    }
    assert_eq!(events, ["job.launched", "job.claimed", "job.started", "job.completed"]);
    assert_eq!(states, ["queued", "running", "ended"]);
    assert!(printed(&replay).contains("+ result_digest = "), "{replay:?}");

    // A bare id is a job's, and JSON has the whole state after each event.
    let steps = json_lines(printed(&run_on(&app.store, &["replay", &job, "--json"]).await));
    let states: Vec<&Value> = steps.iter().map(|step| &step["state"]["state"]).collect();
    assert_eq!(states, ["queued", "running", "running", "ended"]);
    let history = app.client().history(&job).await.expect(200);
    let events: Value = steps.iter().map(|step| step["event"].clone()).collect();
    assert_eq!(events, history["events"]);

    for stream in [format!("job_log/{job}"), "runner/nobody".to_owned()] {
        let replay = run_on(&app.store, &["replay", &stream]).await;
        assert_eq!(complaint(&replay, 1), format!("error: there is no stream {stream}\n"));
    }
}

async fn the_events_of_the_log_are_those_of_the_api(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    new_ended_job(&app.client()).await;
    let of_api = app.client().get("/api/events").await.expect(200)["events"].clone();

    let list = run_on(&app.store, &["events", "list", "--json"]).await;
    assert_eq!(Value::Array(json_lines(printed(&list))), of_api);
    let list = run_on(&app.store, &["events", "list"]).await;
    assert_eq!(printed(&list).lines().count(), of_api.as_array().map_or(0, Vec::len));

    for types in
        [&["--type", "job.claimed", "--type", "job.completed"][..], &["--type", "job.claimed,job.completed"]]
    {
        let list = run_on(&app.store, &[&["events", "list", "--json"], types].concat()).await;
        let filtered = json_lines(printed(&list));
        let names: Vec<&Value> = filtered.iter().map(|event| &event["type"]).collect();
        assert_eq!(names, ["job.claimed", "job.completed"]);
    }

    let list = run_on(&app.store, &["events", "list", "--json", "--after", "1", "--limit", "2"]).await;
    let positions: Vec<Value> = json_lines(printed(&list)).iter().map(|e| e["position"].clone()).collect();
    assert_eq!(positions, [2, 3]);
}

async fn a_tail_shows_what_happens_after_it_began(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let before = app.client().register("early", &[]).await.position();
    let tail = ["events", "tail", "--json", "--limit", "2", "--database-url", app.store.url()];
    let mut tail = spawn(command(&tail).args(["--after", &before.to_string()]));
    let mut lines = BufReader::new(tail.stdout.take().expect("it is piped")).lines();
    for runner in ["r1", "r2"] {
        app.client().register(runner, &[]).await.expect(200);
        let line = lines.next_line().await.expect("it can be read").expect("there is another line");
        let event: Value = serde_json::from_str(&line).expect("each line is JSON");
        assert_eq!((&event["type"], &event["stream_id"]), (&"runner.registered".into(), &runner.into()));
    }
    assert!(tail.wait().await.expect("it ends").success());
}

async fn a_damaged_read_model_is_found_and_rebuilt(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let job = new_ended_job(&app.client()).await;
    eventually("all rows to be stored", async || {
        let verified = run_on(&app.store, &["verify"]).await;
        assert!(printed(&verified).starts_with("verified "), "{verified:?}");
        verified.stderr.is_empty().then_some(())
    })
    .await;
    app.store.execute(&format!("delete from jobs_g1 where key = '{job}'")).await;
    let verified = run_on(&app.store, &["verify"]).await;
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
    let report = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(report.starts_with(&format!("jobs {job}\n    live:     no row\n    expected: {{")), "{report}");
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(said.ends_with("error: found 1 rows that differ from the log\n"), "{said}");
    let verified = run_on(&app.store, &["verify", "--json"]).await;
    let report: Value = serde_json::from_slice(&verified.stdout).expect("it is JSON");
    assert_eq!((&report["differences"][0]["key"], verified.status.code()), (&job.as_str().into(), Some(1)));
    // So it is if the reader has seen enough.
    let mut unread = spawn(&mut command(&["verify", "--database-url", app.store.url()]));
    drop(unread.stdout.take());
    assert_eq!(finish(unread).await.status.code(), Some(1));

    // The server goes on serving meanwhile.
    let rebuilt = run_on(&app.store, &["rebuild", "jobs"]).await;
    assert!(rebuilt.status.success() && rebuilt.stderr.ends_with(b"rebuilt jobs\n"), "{rebuilt:?}");
    assert!(run_on(&app.store, &["verify"]).await.status.success());
    eventually("the server to read what was rebuilt", async || {
        (app.client().job(&job).await.status == 200).then_some(())
    })
    .await;
    app.verify().await;
}

async fn a_store_of_another_build_is_left_alone(kind: StoreKind) {
    let store = Store::create(kind).await;
    let refusals = async |expected: &str| {
        for args in [&["events", "list"][..], &["replay", "job/1"], &["verify"], &["rebuild"]] {
            let output = run_on(&store, args).await;
            assert_eq!(complaint(&output, 1), format!("error: {expected}\n"), "{args:?}");
        }
    };
    // A database with other tables has no event log.
    store.execute("create table other (id bigint)").await;
    refusals("the database has no event log, or that of an older build: run migrate or serve first").await;
    assert!(run_on(&store, &["migrate"]).await.status.success());
    assert!(run_on(&store, &["events", "list"]).await.status.success());
    store.execute("update _sqlx_migrations set version = 9999 where version = 1").await;
    refusals("the event log of this database is that of a newer build").await;
}

#[tokio::test]
async fn every_command_explains_itself_within_the_terminal() {
    let overview = run(&["--help"]).await;
    let commands: Vec<&str> = printed(&overview)
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let expected = [
        "serve",
        "migrate",
        "rebuild",
        "verify",
        "archive",
        "replay",
        "events",
        "health",
        "openapi",
        "runner",
        "pipeline",
        "job",
        "bench",
        "completions",
        "man",
        "help",
    ];
    assert_eq!(commands, expected);
    for name in commands.into_iter().chain([
        "events list",
        "events tail",
        "runner list",
        "runner remove",
        "pipeline launch",
        "pipeline revise",
        "job list",
        "job logs",
    ]) {
        let words: Vec<&str> = ["help"].into_iter().chain(name.split(' ')).collect();
        for columns in [80, 100] {
            let help = finish(spawn(command(&words).env("COLUMNS", columns.to_string()))).await;
            let widest = printed(&help).lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(columns), "{name}: {widest:?}");
        }
    }
}

#[tokio::test]
async fn settings_come_from_the_environment_and_stay_out_of_the_help() {
    let secret = "postgres://rivet:s3cret@127.0.0.1:1/rivet";
    for args in [&["serve", "--help"][..], &["events", "list", "--help"], &["events", "list"]] {
        let output = finish(spawn(command(args).env("RIVET_DATABASE_URL", secret))).await;
        assert!(!format!("{output:?}").contains("s3cret"), "{output:?}");
        assert_eq!(output.status.success(), args.contains(&"--help"));
        // No server listens there.
        let refused = String::from_utf8_lossy(&output.stderr).contains("refused");
        assert_eq!(refused, !output.status.success(), "{output:?}");
    }
}

#[tokio::test]
async fn a_command_line_that_is_not_understood_ends_with_2() {
    assert!(complaint(&run(&["serve", "--lease", "0s"]).await, 2).contains("must be longer than 0"));
    assert!(complaint(&run(&["--lease", "90"]).await, 2).contains("500ms, 90s, 15m, 24h"));
    assert!(complaint(&run(&["rebuild", "nothing"]).await, 2).contains("job_queue"));
    assert!(complaint(&run(&["replay", "jobs/1"]).await, 2).contains("job/ID"));
    assert!(complaint(&run(&["events", "list", "--type", "job.claim"]).await, 2).contains("job.claimed"));
    let beyond = (1_u64 << 63).to_string();
    assert!(complaint(&run(&["events", "list", "--after", &beyond]).await, 2).contains("is not in 0..="));
    assert!(complaint(&run(&["job", "list", "--status", "lost"]).await, 2).contains("Failed"));
    assert!(complaint(&run(&["job", "list", "--limit", "1001"]).await, 2).contains("1..=1000"));
    assert!(
        complaint(&run(&["runner", "--id", "r", "--capability", ""]).await, 2)
            .contains("a value is required")
    );
}

#[tokio::test]
async fn looking_into_a_database_does_not_create_it() {
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    let file = directory.path().join("absent.db").display().to_string();
    let url = format!("sqlite://{file}");
    let archive = ["archive", "--older-than", "1s", "--log-grace", "0s"];
    for args in [&["events", "list"][..], &["replay", "job/1"], &["verify"], &["rebuild"], &archive] {
        let output = run(&[args, &["--database-url", &url]].concat()).await;
        assert_eq!(complaint(&output, 1), format!("error: there is no database {file}\n"));
    }
    assert!(directory.path().read_dir().expect("it is there").next().is_none());
    std::fs::write(&file, "").expect("it can be written");
    let output = run(&["events", "list", "--database-url", &url]).await;
    assert_eq!(complaint(&output, 1), format!("error: there is no database {file}\n"));
    assert_eq!(std::fs::read(&file).expect("it can be read"), b"");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    let file = directory.path().join("notes.txt").display().to_string();
    std::fs::write(&file, "not a database, whatever its size").expect("it can be written");
    let url = format!("sqlite://{file}");
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--database-url", &url]).await;
    assert_eq!(complaint(&output, 1), format!("error: {file} is not a SQLite database\n"));
    assert_eq!(directory.path().read_dir().expect("it is there").count(), 1);
}

#[tokio::test]
async fn a_runner_without_a_place_to_work_does_not_begin() {
    let runner = run(&["runner", "--id", "r", "--work-dir", "/proc/none"]).await;
    assert!(
        complaint(&runner, 1).starts_with("error: a workspace under /proc/none cannot be made: "),
        "{runner:?}"
    );
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let store = Store::create(StoreKind::Sqlite).await;
    let server = Server::start(&store, &[]).await;
    new_ended_job(&server.client()).await;
    let mut list = spawn(&mut command(&["events", "list", "--database-url", store.url()]));
    drop(list.stdout.take());
    let output = list.wait_with_output().await.expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[tokio::test]
async fn health_is_an_exit_code() {
    let store = Store::create(StoreKind::Sqlite).await;
    let server = Server::start(&store, &[]).await;
    let request = server.client().request(Method::GET, "/").build().expect("it is a request");
    let address = request.url().authority().to_owned();
    assert_eq!(printed(&run(&["health", "--listen", &address]).await), "");
    assert_eq!(printed(&run(&["health", "--ready", "--listen", &address]).await), "");
    let nobody = run(&["health", "--listen", "127.0.0.1:1"]).await;
    assert!(complaint(&nobody, 1).starts_with("error: no answer from 127.0.0.1:1: "), "{nobody:?}");
}

#[tokio::test]
async fn options_that_contradict_one_another_are_a_wrong_command_line() {
    let serve = run(&["--keep", "48h", "--log-grace", "72h"]).await;
    assert!(complaint(&serve, 2).contains("--keep must not be shorter than --log-grace"));
    let archive = run(&["archive", "--older-than", "1m"]).await;
    assert!(complaint(&archive, 2).contains("--older-than must not be shorter than --log-grace"));
    assert!(complaint(&archive, 2).contains(" archive [OPTIONS] --older-than"));
}

#[tokio::test]
async fn a_variable_that_is_empty_counts_as_not_set() {
    let mut command = command(&["events", "list", "--database-url", "sqlite://of nobody.db"]);
    let empty = finish(spawn(command.env("RIVET_ARCHIVE_URL", ""))).await;
    assert!(complaint(&empty, 1).contains("of nobody.db"), "{empty:?}");
    let wrong = finish(spawn(command.env("RIVET_ARCHIVE_URL", "nowhere"))).await;
    assert!(complaint(&wrong, 2).contains("nowhere"), "{wrong:?}");
}
