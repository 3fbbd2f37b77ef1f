//! The reference runner and the server, each as a process: jobs end as they should, and their logs are complete and
//! in order, however often the server is killed.

mod example;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rivet_tests::address::ReservedAddress;
use rivet_tests::client::Client;
use rivet_tests::on_both_stores;
use rivet_tests::runner::Runner;
use rivet_tests::sample::{history, id, launched};
use rivet_tests::server::Server;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::verify;
use rivet_tests::wait::{eventually, until_counted};
use serde_json::{Value, json};

use example::{Example, SLOW, all_files, examples, script_of};

const JOBS: usize = 100;
const HEARTBEAT: (&str, Duration) = ("500ms", Duration::from_millis(500));
/// How long a cancelled job may take to end, from the runner's next contact: a fraction of the ten minutes that it
/// would run.
const CANCELLED_WITHIN: Duration = Duration::from_secs(25);

on_both_stores! {
    every_example_outlives_killed_servers,
    a_cancelled_job_ends_with_the_next_contact,
    two_runners_share_jobs_and_run_each_once,
}

#[test]
fn every_example_is_tried() {
    let mut tried: Vec<&str> = examples().iter().map(|example| example.file).chain([SLOW]).collect();
    tried.sort_unstable();
    tried.dedup();
    assert_eq!(all_files(), tried);
}

/// All examples are launched again and again, and the server is killed when none, one, two… of them have ended. A job
/// that counts runs all the while, and so does the slow example.
async fn every_example_outlives_killed_servers(kind: StoreKind) {
    let (store, address) = (Store::create(kind).await, ReservedAddress::new());
    let mut server = Server::start_at(address.as_str(), &store, &[]).await;
    let runner = Runner::start(&server, "r", &["--parallel", "8", "--heartbeat-interval", HEARTBEAT.0]);
    let directory = tempfile::tempdir().unwrap();
    let enough = directory.path().join("enough");
    let api = server.client();
    let slow = launched(&api, &new_pipeline(&api, &script_of(SLOW)).await).await;
    let count = launched(&api, &new_pipeline(&api, &counting_until(&enough)).await).await;
    let pipelines = pipelines_of_examples(&api).await;

    let mut jobs = Vec::new();
    for kill in 0..pipelines.len() {
        let round = launch_all(&api, &pipelines).await;
        eventually("some of them to end", async || (ended_among(&api, &round).await >= kill).then_some(()))
            .await;
        let counted = entries(&api, &count).await.len();
        eventually("the count to go on", async || {
            (entries(&api, &count).await.len() > counted).then_some(())
        })
        .await;
        jobs.extend(round);
        server = kill_and_restart(server, &address, &store).await;
    }
    jobs.extend(launch_all(&api, &pipelines).await);
    for (job, example) in &jobs {
        assert_ended_as(&api, job, example).await;
    }
    cancel_in_time(&api, &slow).await;
    fs::write(&enough, "").unwrap();
    assert_counted(&api, &count).await;
    drop(runner);
    verify(&api, &store).await;
}

async fn a_cancelled_job_ends_with_the_next_contact(kind: StoreKind) {
    let store = Store::create(kind).await;
    let server = Server::start(&store, &[]).await;
    let _runner = Runner::start(&server, "r", &["--heartbeat-interval", HEARTBEAT.0]);
    let api = server.client();
    let slow = launched(&api, &new_pipeline(&api, &script_of(SLOW)).await).await;
    cancel_in_time(&api, &slow).await;
    // The runner runs one job at a time, and continues with the next.
    let next = launched(&api, &new_pipeline(&api, &script_of("hello.lua")).await).await;
    assert_eq!(ended(&api, &next).await["status"], "Succeeded");
}

async fn two_runners_share_jobs_and_run_each_once(kind: StoreKind) {
    let (store, address) = (Store::create(kind).await, ReservedAddress::new());
    let server = Server::start_at(address.as_str(), &store, &[]).await;
    let api = server.client();
    let directory = tempfile::tempdir().unwrap();
    let tally = directory.path().join("tally");
    let script = stage(&format!(r#"echo "$RIVET_JOB_ID" | tee -a "{}""#, tally.display()));
    let pipeline = new_pipeline(&api, &script).await;
    let runners = ["one", "other"].map(|name| Runner::start(&server, name, &["--parallel", "4"]));
    until_counted(&api, "rivet_waiting_claims", 2).await;
    let mut jobs = Vec::new();
    for _ in 0..JOBS {
        jobs.push(launched(&api, &pipeline).await);
    }
    let ran =
        || fs::read_to_string(&tally).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    eventually("a part of them to run", async || (ran().len() > JOBS / 4).then_some(())).await;
    let _server = kill_and_restart(server, &address, &store).await;

    let mut holders = HashSet::new();
    for job in &jobs {
        let ended = ended(&api, job).await;
        assert_eq!((&ended["status"], &ended["attempt"]), (&json!("Succeeded"), &json!(1)), "{ended}");
        assert_eq!(entries(&api, job).await.last(), Some(&format!("Info {job}")));
        holders.insert(ended["runner_id"].to_string());
    }
    assert_eq!(holders.len(), 2, "{holders:?}");
    let (mut ran, mut jobs) = (ran(), jobs);
    ran.sort();
    jobs.sort();
    assert_eq!(ran, jobs, "each runs once");
    drop(runners);
    verify(&api, &store).await;
}

/// A pipeline that runs one shell command.
fn stage(command: &str) -> String {
    format!(
        "return {{ name = 'one', stages = {{ {{ name = 'one', script = function() process.run([[{command}]]) end }} }} }}"
    )
}

/// A pipeline that counts until a file exists, and then logs the count.
fn counting_until(file: &Path) -> String {
    stage(&format!(
        r#"i=0; until [ -e "{}" ]; do i=$((i+1)); echo "$i"; sleep 0.02; done; echo "counted to $i""#,
        file.display()
    ))
}

async fn new_pipeline(api: &Client, script: &str) -> String {
    id(&api.create_pipeline(&json!({"script": script})).await.expect(200))
}

async fn pipelines_of_examples(api: &Client) -> Vec<(String, Example)> {
    let mut pipelines = Vec::new();
    for example in examples() {
        pipelines.push((new_pipeline(api, &script_of(example.file)).await, example));
    }
    pipelines
}

/// One job of each pipeline.
async fn launch_all<'a>(api: &Client, pipelines: &'a [(String, Example)]) -> Vec<(String, &'a Example)> {
    let mut jobs = Vec::new();
    for (pipeline, example) in pipelines {
        jobs.push((id(&api.launch(pipeline, &example.parameters).await.expect(200)), example));
    }
    jobs
}

/// A client of the server at the address at which it is started again after each `kill -9`.
async fn kill_and_restart(server: Server, address: &ReservedAddress, store: &Store) -> Server {
    server.kill();
    Server::start_at(address.as_str(), store, &[]).await
}

/// The answer of a GET that reflects everything that was acknowledged before. On PostgreSQL, it takes seconds until
/// another process takes over from a killed leader.
async fn fresh(api: &Client, path: &str) -> Value {
    eventually("the read models", async || {
        let answer = api.get(path).await;
        answer.header("rivet-stale").is_none().then(|| answer.expect(200))
    })
    .await
}

async fn ended_among(api: &Client, jobs: &[(String, &Example)]) -> usize {
    let mut ended = 0;
    for (job, _) in jobs {
        ended += usize::from(fresh(api, &format!("/api/jobs/{job}")).await["phase"] == "ended");
    }
    ended
}

/// The job, after it has ended.
async fn ended(api: &Client, job: &str) -> Value {
    eventually("the job to end", async || {
        let job = fresh(api, &format!("/api/jobs/{job}")).await;
        (job["phase"] == "ended").then_some(job)
    })
    .await
}

/// The level and message of each entry of a log; asserts that the indices are 1, 2, 3, … and that all are of the
/// first attempt.
async fn entries(api: &Client, job: &str) -> Vec<String> {
    let log = fresh(api, &format!("/api/jobs/{job}/logs")).await;
    let entries = log.as_array().expect("a log is a list").iter().zip(1_u64..);
    let lines = entries.map(|(entry, index)| {
        assert_eq!((&entry["index"], &entry["attempt"]), (&json!(index), &json!(1)), "{job}: {entry}");
        let text = |member: &str| entry[member].as_str().expect("it is text");
        format!("{} {}", text("level"), text("message"))
    });
    lines.collect()
}

async fn assert_ended_as(api: &Client, job: &str, example: &Example) {
    let ended = ended(api, job).await;
    let expected = (&json!(example.status), &example.result, &json!(1));
    assert_eq!((&ended["status"], &ended["result"], &ended["attempt"]), expected, "{}", example.file);
    assert_eq!(entries(api, job).await.join("\n"), example.log, "{}", example.file);
    let (types, _) = history(api, job).await;
    assert_eq!(types, ["job.launched", "job.claimed", "job.started", "job.completed"], "{}", example.file);
}

/// Cancels the slow example once it sleeps.
async fn cancel_in_time(api: &Client, job: &str) {
    eventually("it to sleep", async || {
        entries(api, job).await.contains(&"Debug $ sleep 600".to_owned()).then_some(())
    })
    .await;
    api.cancel(job).await.expect(204);
    let cancelled = Instant::now();
    let ended = ended(api, job).await;
    let took = cancelled.elapsed();
    assert_eq!(
        (&ended["status"], &ended["result"]["exit_code"]),
        (&json!("Cancelled"), &json!(130)),
        "{ended}"
    );
    assert!(took < HEARTBEAT.1 + CANCELLED_WITHIN, "{took:?}");
}

async fn assert_counted(api: &Client, job: &str) {
    assert_eq!(ended(api, job).await["status"], "Succeeded");
    let log = entries(api, job).await;
    let (last, counted) = log[2..].split_last().expect("it counted");
    assert_eq!(last, &format!("Info counted to {}", counted.len()));
    for (line, n) in counted.iter().zip(1_usize..) {
        assert_eq!(line, &format!("Info {n}"));
    }
}
