//! Containers of jobs, by a program that passes for podman: what they are given, and that none of them outlives its
//! attempt.

use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::fixture::{HeldJob, Runner, example, unlocked};
use crate::scripted_server::ScriptedServer;

/// A job whose container holds a lock on `path` until it is removed, or that file is. Its log begins with the id of
/// the job's process.
fn holding(path: &Path) -> String {
    let path = path.display();
    format!(
        "return {{ name = 'hold', stages = {{ {{ name = 'hold', script = function()
            process.run('echo $PPID')
            container.run('alpine:3', {{ 'flock', '{path}', 'sh', '-c', 'echo held; while [ -e {path} ]; do sleep 1; done' }})
        end }} }} }}"
    )
}

#[tokio::test]
async fn commands_of_a_stage_with_a_container_run_in_it() {
    let server = ScriptedServer::start().await;
    let _runner = Runner::start(&server, &[]);
    let source = "return { name = 'box', config = { env_vars = { GREETING = 'hi' } }, stages = {
        { name = 'in', container = 'alpine:3', script = function()
            process.run('echo $GREETING from $RIVET_JOB_ID', { cwd = 'sub' })
            container.run('rust:1', { 'sh', '-c', 'echo a b $GREETING $SECRET $HOME' },
                { env = { GREETING = 'hello', SECRET = 'c', HOME = '/d' } })
        end },
        { name = 'out', script = function() process.run('echo outside') end },
    } }";
    let job = server.launch(source);
    assert_eq!(server.completion(job).await["status"], "Succeeded", "{:?}", server.messages(job));
    // Values are not on the engine's command line, which any user of the machine can read, except of those variables
    // that the engine itself heeds.
    let run = |directory, variables: [&str; 2]| {
        let [home, secret] = variables;
        format!(
            "podman run --rm --interactive --init --label rivet.job_id={job} \
             --label rivet.workspace=WORKSPACE --volume WORKSPACE:/workspace:z --workdir {directory} --env CI \
             --env GREETING{home} --env RIVET_ATTEMPT --env RIVET_JOB_ID --env RIVET_PIPELINE_ID{secret}"
        )
    };
    let expected = [
        "stage in",
        &run("/workspace/sub", ["", ""]),
        "alpine:3: sh -c echo $GREETING from $RIVET_JOB_ID",
        &format!("hi from {job}"),
        &run("/workspace", [" --env HOME=/d", " --env SECRET"]),
        "rust:1: sh -c echo a b $GREETING $SECRET $HOME",
        "a b hello c /d",
        "stage out",
        "outside",
    ];
    assert_eq!(server.messages(job), expected);
}

#[tokio::test]
async fn a_cancelled_job_leaves_no_container() {
    let held = HeldJob::start(holding, &["--termination-grace", "100ms"]).await;
    held.cancel();
    assert_eq!(held.completion().await["status"], "Cancelled");
    held.released().await;
}

#[tokio::test]
async fn a_job_process_that_dies_leaves_no_container() {
    let held = HeldJob::start(holding, &[]).await;
    let pid = held.server.messages(held.job)[1].parse().ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, Signal::KILL).unwrap();
    let completion = held.completion().await;
    assert_eq!(
        (&completion["status"], &completion["result"]["error_message"]),
        (&json!("Failed"), &json!("the job's process ended without a result: signal: 9 (SIGKILL)"))
    );
    held.released().await;
}

#[tokio::test]
async fn a_lost_attempt_loses_its_containers_and_the_next_one_keeps_its_own() {
    let held = HeldJob::start(holding, &["--parallel", "2", "--termination-grace", "100ms"]).await;
    // The runner learns of the loss with its next heartbeat, and has the next attempt by then.
    let next = held.lock.with_file_name("next");
    held.server.launch_again(held.job, &holding(&next));
    held.server.held(held.job).await;
    held.released().await;
    let other = held.server.launch(&example("hello.lua"));
    held.server.completion(other).await;
    assert_eq!(held.runner.workspaces(), 2, "that of the next attempt, and its lock");
    let file = std::fs::File::options().write(true).open(&next).unwrap();
    assert!(file.try_lock().is_err(), "the next attempt still runs");
}

#[tokio::test]
async fn a_runner_that_is_stopped_by_force_leaves_no_container() {
    let mut held = HeldJob::start(holding, &["--drain-grace", "100ms"]).await;
    held.runner.signal(Signal::TERM);
    held.runner.ended().await;
    held.released().await;
}

#[tokio::test]
async fn the_containers_of_a_killed_runner_are_removed_by_its_successor() {
    let mut held = HeldJob::start(holding, &[]).await;
    held.runner.signal(Signal::KILL);
    held.runner.process.wait().await.unwrap();
    let _successor = Runner::start_in(held.runner.work_dir, &held.server, &[], Stdio::null());
    unlocked(&held.lock).await;
}
