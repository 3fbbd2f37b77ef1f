//! The reference runner as a process, against a server that is told what to do.

mod containers;
mod heartbeats;
mod results;
mod scripted_server;

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use scripted_server::{Misbehaviour, PATIENCE, ScriptedServer};

/// A runner's process; killed when dropped.
struct Runner {
    process: Child,
    work_dir: TempDir,
}

impl Runner {
    fn start(server: &ScriptedServer, arguments: &[&str]) -> Self {
        Self::start_with(server, arguments, Stdio::null())
    }

    /// A runner whose own log goes to `stderr`.
    fn start_with(server: &ScriptedServer, arguments: &[&str], stderr: Stdio) -> Self {
        Self::start_in(tempfile::tempdir().expect("a directory"), server, arguments, stderr)
    }

    /// A runner with the work directory of another one.
    fn start_in(work_dir: TempDir, server: &ScriptedServer, arguments: &[&str], stderr: Stdio) -> Self {
        let process = Command::new(env!("CARGO_BIN_EXE_rivet-orchestrator"))
            .args(["runner", "--server", &server.url, "--id", "läufer 1/a", "--work-dir"])
            .arg(work_dir.path())
            .args(arguments)
            .env("PATH", path_with_container_engine())
            .env("RUNNER_SECRET", "do not tell")
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .expect("a runner");
        Self { process, work_dir }
    }

    fn signal(&self, signal: Signal) {
        let pid = self.process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        kill_process(pid.expect("a running process"), signal).expect("a signal");
    }

    fn workspaces(&self) -> usize {
        std::fs::read_dir(self.work_dir.path()).expect("a directory").count()
    }
}

/// The search path, with a program before it that passes for podman: it shows what it is told, and runs the command
/// after the image.
fn path_with_container_engine() -> String {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runner/bin");
    std::env::var_os("PATH")
        .map_or_else(|| directory.to_owned(), |path| format!("{directory}:{}", path.display()))
}

/// Waits until no process has the lock on `path`.
async fn unlocked(path: &Path) {
    let file = File::options().write(true).open(path).expect("a lock file");
    let locked = tokio::task::spawn_blocking(move || file.lock());
    timeout(PATIENCE, locked).await.expect("the job is still there").expect("no panic").expect("a lock");
}

/// A job that holds a lock on `path` as long as any of its processes lives.
fn holding(path: &Path) -> String {
    format!(
        "return {{ name = 'hold', stages = {{ {{ name = 'hold', script = function()
            process.run({{ 'flock', '{}', 'sh', '-c', 'echo held; sleep 600' }})
        end }} }} }}",
        path.display()
    )
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    std::fs::read_to_string(path).expect("an example")
}

async fn held(server: &ScriptedServer, job: rivet_events::id::JobId) {
    server
        .until("the lock", |knowledge| {
            knowledge.jobs[&job].log.iter().any(|(_, message)| message == "held").then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_runner_registers_what_it_can_do() {
    let server = ScriptedServer::start(Misbehaviour::default()).await;
    let _runner = Runner::start(&server, &["--capability", "os=linux"]);
    let registration = server.until("a registration", |known| known.registrations.first().cloned()).await;
    assert_eq!(registration["runner_id"], "läufer 1/a");
    let capabilities: Vec<String> = serde_json::from_value(registration["capabilities"].clone()).unwrap();
    assert!(["os=linux", "log", "process"].iter().all(|one| capabilities.iter().any(|it| it == one)));
    assert!(registration["boot_id"].is_string());
}

#[tokio::test]
async fn an_older_server_is_polled() {
    let server = ScriptedServer::start(Misbehaviour { older: true, ..Misbehaviour::default() }).await;
    let job = server.launch(&example("hello.lua"), &json!({}));
    let _runner = Runner::start(&server, &[]);
    assert_eq!(server.completion(job).await["status"], "Succeeded");
}

#[tokio::test]
async fn lost_requests_and_answers_lose_no_job_and_repeat_no_line() {
    for older in [false, true] {
        let server =
            ScriptedServer::start(Misbehaviour { older, lossy: true, ..Misbehaviour::default() }).await;
        let source = "return { name = 'count', stages = { { name = 'count', script = function()
            process.run('seq 1 5000')
        end } } }";
        let jobs: Vec<_> = (0..2).map(|_| server.launch(source, &json!({}))).collect();
        let _runner = Runner::start(&server, &["--parallel", "2"]);
        for job in jobs {
            assert_eq!(server.completion(job).await["status"], "Succeeded");
            let lines: Vec<String> = (1..=5000).map(|number: u32| number.to_string()).collect();
            assert_eq!(server.messages(job)[1..], lines);
            server
                .change(|known| assert_eq!((known.jobs[&job].claims, known.jobs[&job].completions), (1, 1)));
        }
    }
}

#[tokio::test]
async fn a_claim_whose_job_is_somebody_elses_by_now_is_given_up() {
    for older in [false, true] {
        let misbehaviour = Misbehaviour { older, first_claim_is_over: true, ..Misbehaviour::default() };
        let server = ScriptedServer::start(misbehaviour).await;
        let job = server.launch(&example("hello.lua"), &json!({}));
        let _runner = Runner::start(&server, &[]);
        assert_eq!(server.completion(job).await["status"], "Succeeded");
    }
}

#[tokio::test]
async fn a_cancelled_job_is_gone_with_all_it_started() {
    let server = ScriptedServer::start(Misbehaviour::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let lock = directory.path().join("lock");
    let runner = Runner::start(&server, &[]);
    let job = server.launch(&holding(&lock), &json!({}));
    held(&server, job).await;
    server.change(|known| known.jobs.get_mut(&job).unwrap().cancel = true);
    let completion = server.completion(job).await;
    assert_eq!(
        (&completion["status"], &completion["result"]["exit_code"]),
        (&json!("Cancelled"), &json!(130))
    );
    unlocked(&lock).await;
    assert_eq!(runner.workspaces(), 0);
}

#[tokio::test]
async fn what_a_cancelled_command_says_last_is_in_the_log() {
    let server = ScriptedServer::start(Misbehaviour::default()).await;
    let _runner = Runner::start(&server, &["--termination-grace", "60s"]);
    let source = "return { name = 'trap', stages = { { name = 'trap', script = function()
        process.run([[trap 'echo cleaned up; exit 0' TERM; echo held; sleep 600 & wait]])
    end } } }";
    let job = server.launch(source, &json!({}));
    held(&server, job).await;
    server.change(|known| known.jobs.get_mut(&job).unwrap().cancel = true);
    assert_eq!(server.completion(job).await["status"], "Cancelled");
    assert!(server.messages(job).contains(&"cleaned up".to_owned()), "{:?}", server.messages(job));
}

#[tokio::test]
async fn a_script_without_end_can_be_cancelled() {
    let server = ScriptedServer::start(Misbehaviour::default()).await;
    let _runner = Runner::start(&server, &[]);
    let source = "return { name = 'spin', stages = { { name = 'spin', script = function()
        log.info('held')
        while true do pcall(function() while true do end end) end
    end } } }";
    let job = server.launch(source, &json!({}));
    held(&server, job).await;
    server.change(|known| known.jobs.get_mut(&job).unwrap().cancel = true);
    assert_eq!(server.completion(job).await["status"], "Cancelled");
}

#[tokio::test]
async fn a_job_whose_lease_is_lost_stops_and_reports_nothing() {
    let server = ScriptedServer::start(Misbehaviour::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let lock = directory.path().join("lock");
    let _runner = Runner::start(&server, &[]);
    let job = server.launch(&holding(&lock), &json!({}));
    held(&server, job).await;
    server.change(|known| known.jobs.get_mut(&job).unwrap().lost = true);
    unlocked(&lock).await;
    // The next job shows that the runner is through with this one.
    let next = server.launch(&example("hello.lua"), &json!({}));
    server.completion(next).await;
    server.change(|known| assert_eq!(known.jobs[&job].completion, None));
}

#[tokio::test]
async fn a_killed_runner_leaves_no_job_and_its_successor_no_workspace() {
    let server = ScriptedServer::start(Misbehaviour::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let lock = directory.path().join("lock");
    let mut runner = Runner::start(&server, &[]);
    let job = server.launch(&holding(&lock), &json!({}));
    held(&server, job).await;
    runner.signal(Signal::KILL);
    unlocked(&lock).await;
    runner.process.wait().await.unwrap();
    assert_eq!(runner.workspaces(), 2, "the workspace, and its lock");
    let successor = Runner::start_in(runner.work_dir, &server, &[], Stdio::null());
    let next = server.launch(&example("hello.lua"), &json!({}));
    server.completion(next).await;
    assert_eq!(successor.workspaces(), 0);
}

#[tokio::test]
async fn a_draining_runner_finishes_what_it_has_and_claims_no_more() {
    let server = ScriptedServer::start(Misbehaviour::default()).await;
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
    let job = server.launch(&source, &json!({}));
    held(&server, job).await;
    server.until("a waiting claim", |known| (!known.waiting.is_empty()).then_some(())).await;
    runner.signal(Signal::TERM);
    server.until("the last claim", |known| (!known.last_claims.is_empty()).then_some(())).await;
    let late = server.launch(&source, &json!({}));
    tokio::task::spawn_blocking(move || std::fs::write(pipe, "go on")).await.unwrap().unwrap();
    let status = timeout(PATIENCE, runner.process.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(server.completion(job).await["status"], "Succeeded");
    assert_eq!(runner.workspaces(), 0);
    server.change(|known| assert_eq!(known.jobs[&late].claims, 0));
}

#[tokio::test]
async fn a_drain_that_takes_too_long_kills_the_jobs_without_a_report() {
    let server = ScriptedServer::start(Misbehaviour::default()).await;
    let directory = tempfile::tempdir().unwrap();
    let lock = directory.path().join("lock");
    let mut runner = Runner::start(&server, &["--drain-grace", "500ms"]);
    let job = server.launch(&holding(&lock), &json!({}));
    held(&server, job).await;
    runner.signal(Signal::TERM);
    let status = timeout(PATIENCE, runner.process.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    unlocked(&lock).await;
    server.change(|known| assert_eq!(known.jobs[&job].completion, None));
}

#[tokio::test]
async fn a_job_sees_nothing_of_the_runners_environment() {
    let server = ScriptedServer::start(Misbehaviour::default()).await;
    let _runner = Runner::start(&server, &[]);
    let source = "return { name = 'env', config = { env_vars = { GREETING = 'hi' } }, stages = { { name = 'env', script = function()
        process.run('env | cut -d= -f1 | sort')
        log.info(env.get('GREETING') .. ' ' .. tostring(env.get('RUNNER_SECRET')) .. ' ' .. env.get('X', 'default'))
    end } } }";
    let job = server.launch(source, &json!({}));
    server.completion(job).await;
    let messages = server.messages(job);
    let known = ["CI", "GREETING", "HOME", "LANG", "PATH", "PWD", "OLDPWD", "SHLVL", "_"];
    let (names, said) = messages[1..].split_at(messages.len() - 2);
    for name in names {
        assert!(known.contains(&name.as_str()) || name.starts_with("RIVET_"), "{name}");
    }
    assert_eq!(said, ["hi nil default"]);
}

#[tokio::test]
async fn variables_of_the_script_count_only_where_the_server_sends_none() {
    let server = ScriptedServer::start(Misbehaviour::default()).await;
    let _runner = Runner::start(&server, &[]);
    let source = "return { name = 'env', config = { env_vars = { A = 'script', B = 'script' } }, stages = {
        { name = 'env', script = function() log.info(env.A, env.B) end }
    } }";
    for (members, said) in [
        (json!({}), "script\tscript"),
        (json!({"env_vars": {"A": "request"}}), "request\tnil"),
        (json!({"env_vars": {}}), "nil\tnil"),
    ] {
        let job = server.launch_with(source, &json!({}), &members);
        assert_eq!(server.completion(job).await["status"], "Succeeded");
        assert_eq!(server.messages(job)[1..], [said], "{members}");
    }
}

#[tokio::test]
async fn a_script_that_breaks_fails_its_job_and_says_where() {
    let server = ScriptedServer::start(Misbehaviour::default()).await;
    let _runner = Runner::start(&server, &[]);
    for (source, expected) in [
        ("this is not lua", "pipeline:1:"),
        ("return 7", "table"),
        (
            "return { name = 'x', stages = { { name = 's', script = function()\n error('boom') end } } }",
            "stage s: pipeline:2: boom",
        ),
        ("return { name = 'x', stages = { { name = 's' } } }", "stage s: "),
        (
            "return { name = 'x', stages = { { name = 's', script = function() process.run({'no-such-program'}) end } } }",
            "`no-such-program` cannot be run",
        ),
    ] {
        let job = server.launch(source, &json!({}));
        let completion = server.completion(job).await;
        assert_eq!(completion["status"], "Failed", "{source}");
        let error: &Value = &completion["result"]["error_message"];
        assert!(error.as_str().is_some_and(|error| error.contains(expected)), "{source}: {error}");
    }
}
