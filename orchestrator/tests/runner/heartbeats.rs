//! What a runner says of its own contact with the server.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStderr;
use tokio::time::timeout;

use crate::fixture::Runner;
use crate::scripted_server::{PATIENCE, ScriptedServer};

/// A job without a word.
const SILENT: &str = "return { name = 'silent', stages = { { name = 'silent', script = function()
    process.run('sleep 600')
end } } }";

#[tokio::test]
async fn refused_heartbeats_are_told_once_and_so_is_their_end() {
    let server = ScriptedServer::start().await;
    server.change(|known| known.refuses_heartbeats = true);
    let mut runner = Runner::start_with(&server, &["--heartbeat-interval", "10ms"], Stdio::piped());
    let mut log = BufReader::new(runner.process.stderr.take().unwrap()).lines();
    let refused = "the server refuses heartbeats: 403; silent jobs will be lost";
    until(&mut log, refused).await;

    server.launch(SILENT);
    let before = until(&mut log, "the server refuses a heartbeat of the job: 403").await;
    assert!(before.iter().all(|line| !line.contains(refused)), "{before:?}");

    server.change(|known| known.refuses_heartbeats = false);
    until(&mut log, "the server takes heartbeats again").await;
}

#[tokio::test]
async fn a_runner_whose_name_another_one_has_taken_says_so() {
    let server = ScriptedServer::start().await;
    let mut runner = Runner::start_with(&server, &[], Stdio::piped());
    let mut log = BufReader::new(runner.process.stderr.take().unwrap()).lines();
    let job = server.launch(SILENT);
    until(&mut log, "job started").await;
    server.lose_lease(job);
    let lines = until(&mut log, "another process has registered under the name of this runner").await;
    assert!(lines.last().is_some_and(|line| line.contains("ERROR")), "{lines:?}");
}

/// The lines up to the first that contains `text`.
async fn until(log: &mut Lines<BufReader<ChildStderr>>, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.contains(text)) {
        let line = timeout(PATIENCE, log.next_line()).await;
        let Ok(Ok(Some(line))) = line else { panic!("never logged: {text}; {lines:#?}") };
        lines.push(line);
    }
    lines
}
