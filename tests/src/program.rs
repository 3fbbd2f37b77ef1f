//! The program's commands: run with an environment that has no settings, and what they print.

use std::env;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::store::Store;

/// The program under test: Cargo puts the programs of a package next to the folder of its tests.
pub fn path() -> PathBuf {
    let test = env::current_exe().expect("a test knows its own program");
    let folder = test.ancestors().nth(2).expect("it is target/PROFILE/deps/TEST");
    folder.join("rivet-under-test")
}

/// The program, in an environment without settings. Its process is killed when dropped.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(path());
    command.args(args).env_clear().kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// As [`command`], for a command that is a client of the server at this URL.
pub fn client_command(server: &str, args: &[&str]) -> Command {
    let mut command = command(args);
    command.env("RIVET_SERVER", server);
    command
}

/// Starts a command.
pub fn spawn(command: &mut Command) -> Child {
    command.spawn().expect("the program is built beside its tests")
}

/// Sends a signal to a process.
pub fn signal(process: &Child, signal: Signal) {
    let id = process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    kill_process(id.expect("it runs, and its id is positive"), signal).expect("it runs");
}

/// Waits for the end of a process.
pub async fn finish(mut process: Child) -> Output {
    let _open_until_it_ends = process.stdin.take();
    process.wait_with_output().await.expect("it is our child")
}

/// Runs the program to its end.
pub async fn run(args: &[&str]) -> Output {
    finish(spawn(&mut command(args))).await
}

/// As [`run`], with the database of a store.
pub async fn run_on(store: &Store, args: &[&str]) -> Output {
    run(&[args, &["--database-url", store.url()]].concat()).await
}

/// What a successful command printed.
#[track_caller]
pub fn printed(output: &Output) -> &str {
    assert!(output.status.success(), "{output:?}");
    str::from_utf8(&output.stdout).expect("it prints UTF-8")
}

/// What a command printed to stderr, after it ended with this exit code and printed nothing else.
#[track_caller]
pub fn complaint(output: &Output, code: i32) -> &str {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    str::from_utf8(&output.stderr).expect("it prints UTF-8")
}

/// The values of a text that has one on each line.
#[track_caller]
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}
