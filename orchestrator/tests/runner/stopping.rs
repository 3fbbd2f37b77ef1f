//! How jobs end before their time: cancelled, without a lease, or because their runner stops.

use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;

use crate::fixture::{HeldJob, Runner, example};
use crate::scripted_server::ScriptedServer;

/// A job that holds a lock on `path` as long as any of its processes lives.
fn holding(path: &Path) -> String {
    format!(
        "return {{ name = 'hold', stages = {{ {{ name = 'hold', script = function()
            process.run({{ 'flock', '{}', 'sh', '-c', 'echo held; sleep 600' }})
        end }} }} }}",
        path.display()
    )
}

#[tokio::test]
async fn a_cancelled_job_is_gone_with_all_it_started() {
    let held = HeldJob::start(holding, &[]).await;
    held.cancel();
    let completion = held.completion().await;
    assert_eq!(
        (&completion["status"], &completion["result"]["exit_code"]),
        (&json!("Cancelled"), &json!(130))
    );
    held.released().await;
    assert_eq!(held.runner.workspaces(), 0);
}

#[tokio::test]
async fn what_a_cancelled_command_says_last_is_in_the_log() {
    let server = ScriptedServer::start().await;
    let _runner = Runner::start(&server, &["--termination-grace", "60s"]);
    let source = "return { name = 'trap', stages = { { name = 'trap', script = function()
        process.run([[trap 'echo cleaned up; exit 0' TERM; echo held; sleep 600 & wait]])
    end } } }";
    let job = server.launch(source);
    server.held(job).await;
    server.cancel(job);
    assert_eq!(server.completion(job).await["status"], "Cancelled");
    assert!(server.messages(job).contains(&"cleaned up".to_owned()), "{:?}", server.messages(job));
}

#[tokio::test]
async fn a_script_without_end_can_be_cancelled() {
    let server = ScriptedServer::start().await;
    let _runner = Runner::start(&server, &[]);
    let source = "return { name = 'spin', stages = { { name = 'spin', script = function()
        log.info('held')
        while true do pcall(function() while true do end end) end
    end } } }";
    let job = server.launch(source);
    server.held(job).await;
    server.cancel(job);
    assert_eq!(server.completion(job).await["status"], "Cancelled");
}

#[tokio::test]
async fn a_job_whose_lease_is_lost_stops_and_reports_nothing() {
    let held = HeldJob::start(holding, &[]).await;
    held.lose_lease();
    held.released().await;
    // The next job shows that the runner is through with this one.
    let next = held.server.launch(&example("hello.lua"));
    held.server.completion(next).await;
    held.server.change(|known| assert_eq!(known.jobs[&held.job].completion, None));
}

#[tokio::test]
async fn a_killed_runner_leaves_no_job_and_its_successor_no_workspace() {
    let mut held = HeldJob::start(holding, &[]).await;
    held.runner.signal(Signal::KILL);
    held.released().await;
    held.runner.process.wait().await.unwrap();
    assert_eq!(held.runner.workspaces(), 2, "the workspace, and its lock");
    let successor = Runner::start_in(held.runner.work_dir, &held.server, &[], Stdio::null());
    let next = held.server.launch(&example("hello.lua"));
    held.server.completion(next).await;
    assert_eq!(successor.workspaces(), 0);
}

#[tokio::test]
async fn a_draining_runner_finishes_what_it_has_and_claims_no_more() {
    let server = ScriptedServer::start().await;
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut runner = Runner::start(&server, &["--parallel", "2"]);
    let source = format!(
        "return {{ name = 'wait', stages = {{ {{ name = 'wait', script = function()
            log.info('held')
            process.run({{ 'cat', '{}' }})
        end }} }} }}",
        pipe.display()
    );
    let job = server.launch(&source);
    server.held(job).await;
    server.until("a waiting claim", |known| (!known.waiting.is_empty()).then_some(())).await;
    runner.signal(Signal::TERM);
    server.until("the last claim", |known| (!known.last_claims.is_empty()).then_some(())).await;
    let late = server.launch(&source);
    tokio::task::spawn_blocking(move || std::fs::write(pipe, "go on")).await.unwrap().unwrap();
    runner.ended().await;
    assert_eq!(server.completion(job).await["status"], "Succeeded");
    assert_eq!(runner.workspaces(), 0);
    server.change(|known| {
        assert_eq!(known.jobs[&late].claims, 0);
        assert_eq!(known.left, ["läufer 1/a"]);
    });
}

#[tokio::test]
async fn a_drain_that_takes_too_long_kills_the_jobs_without_a_report() {
    let mut held = HeldJob::start(holding, &["--drain-grace", "500ms"]).await;
    held.runner.signal(Signal::TERM);
    held.runner.ended().await;
    held.released().await;
    held.server.change(|known| assert_eq!(known.jobs[&held.job].completion, None));
}
