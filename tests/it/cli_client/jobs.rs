//! The commands of jobs and of their logs.

use std::time::Duration;

use rivet_tests::program::{self, finish};
use rivet_tests::sample::{
    UNKNOWN, failure, id, launched, new_claimed_job, new_pipeline, new_pipeline_with, success,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{app, begin, json_of, log, printed, refused, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_through_its_life() {
    let app = app().await;
    let api = app.client();
    let job = new_claimed_job(&api, "r1").await;
    let waiting = launched(&api, &new_pipeline(&api).await).await;
    let running = json_of(&app, &["job", "list", "--status", "running"]).await;
    assert_eq!(running.as_array().map(|jobs| jobs.iter().map(id).collect()), Some(vec![job.clone()]));
    let table = printed(&app, &["job", "list"]).await;
    assert!(table.lines().nth(1).is_some_and(|line| line.contains("Queued")), "{table}");
    assert!(
        table.lines().nth(2).is_some_and(|line| line.contains("Running") && line.contains("r1")),
        "{table}"
    );

    let second = json_of(&app, &["job", "get", &waiting]).await["requested_at"].clone();
    let ids = async |filter: &[&str]| -> Vec<String> {
        let list = json_of(&app, &[&["job", "list"], filter].concat()).await;
        list.as_array().unwrap().iter().map(id).collect()
    };
    assert_eq!(ids(&["--since", second.as_str().unwrap()]).await, [&waiting[..]]);
    assert_eq!(ids(&["--until", second.as_str().unwrap()]).await, [&job[..]]);
    assert_eq!(ids(&["--search", &job[24..]]).await, [&job[..]]);

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
        cancel.contains("job.cancelled")
            && cancel.contains("client rivet-cli/")
            && cancel.ends_with("not now"),
        "{events}"
    );

    api.complete(&job, &failure()).await.expect(204);
    assert!(printed(&app, &["job", "get", &job]).await.contains("error       exit code 3\n"));
    let events = printed(&app, &["job", "events", &job]).await;
    let end = events.lines().last().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(end.contains("job.completed Failed 1 ") && end.ends_with(" exit code 3"), "{events}");
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
    let runner = printed(&app, &["runner", "get", "r1"]).await;
    assert!(runner.starts_with("runner          r1\nstatus          Online\n"), "{runner}");
    assert_eq!(printed(&app, &["runner", "remove", "r1"]).await, "");
    assert!(refused(&app, &["runner", "get", "r1"]).await.contains("runner_not_found"));
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
async fn a_log_is_followed_to_the_end_of_its_job() {
    let app = app().await;
    let api = app.client();
    let job = new_claimed_job(&api, "r1").await;
    log(&api, &job, &["one", "two\n\n\u{1b}[31mlines\u{1b}[0m\n", ""]).await;
    let whole = "03:04:05 Info    one\n03:04:05 Info    two\n03:04:05 Info    \n03:04:05 Info    lines\n03:04:05 Info    \n";
    let output = run(&app, &["job", "logs", &job]).await;
    assert_eq!((program::printed(&output), &output.stderr[..]), (whole, &b"-- attempt 1, 2026-01-02\n"[..]));
    assert_eq!(printed(&app, &["job", "logs", &job, "--tail", "1"]).await, "03:04:05 Info    \n");

    let mut follow = begin(&app, &["job", "logs", "--follow", "--tail", "2", "--json", &job]);
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = async || -> Option<(u64, String)> {
        let line = tokio::time::timeout(Duration::from_mins(2), lines.next_line()).await.unwrap().unwrap()?;
        let entry: Value = serde_json::from_str(&line).unwrap();
        Some((entry["index"].as_u64().unwrap(), entry["message"].as_str().unwrap().to_owned()))
    };
    assert_eq!(next().await, Some((2, "two\n\n\u{1b}[31mlines\u{1b}[0m\n".to_owned())));
    assert_eq!(next().await, Some((3, String::new())));
    log(&api, &job, &["four"]).await;
    assert_eq!(next().await, Some((4, "four".to_owned())));
    log(&api, &job, &["five"]).await;
    api.complete(&job, &success()).await.expect(204);
    assert_eq!(next().await, Some((5, "five".to_owned())));
    assert_eq!(next().await, None);
    let output = finish(follow).await;
    assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("job {job} is Succeeded\n"));
    assert!(output.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_is_told_that_the_server_is_away() {
    let app = app().await;
    let nobody = ["job", "logs", "--follow", UNKNOWN, "--server", "http://127.0.0.1:1"];
    let mut follow = begin(&app, &nobody);
    let mut said = BufReader::new(follow.stderr.take().unwrap()).lines();
    let line =
        tokio::time::timeout(Duration::from_mins(2), said.next_line()).await.unwrap().unwrap().unwrap();
    assert!(
        line.starts_with("no answer from http://127.0.0.1:1/: ") && line.ends_with("; trying again"),
        "{line}"
    );
}
