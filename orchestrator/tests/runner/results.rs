//! What a job's result and log say of what its stages return, print and raise.

use serde_json::{Value, json};

use crate::fixture::Runner;
use crate::scripted_server::ScriptedServer;

/// The result of a job whose stages are `stages`, and its log.
async fn run(stages: &str) -> (Value, Vec<String>) {
    let server = ScriptedServer::start().await;
    let _runner = Runner::start(&server, &[]);
    let job = server.launch(&format!("return {{ name = 'x', stages = {{ {stages} }} }}"));
    let completion = server.completion(job).await;
    (completion["result"].clone(), server.messages(job))
}

/// One stage, `s`, with this script.
fn stage(script: &str) -> String {
    format!("{{ name = 's', script = function() {script} end }}")
}

#[tokio::test]
async fn text_that_is_not_utf_8_can_be_logged_and_raised() {
    let script =
        r"log.info('a\255', 7, nil, true) print(process.run([[printf '\377']]).stdout) error('no\255', 0)";
    let (result, log) = run(&stage(script)).await;
    assert_eq!(result["error_message"], "stage s: no\u{fffd}");
    assert_eq!(log[1..], ["a\u{fffd}\t7\tnil\ttrue", "\u{fffd}", "\u{fffd}", "stage s: no\u{fffd}"]);
}

#[tokio::test]
async fn what_json_cannot_say_is_not_kept_and_the_log_says_so() {
    let (result, log) = run(&stage("return { ok = 1, ratio = 0/0 }")).await;
    assert_eq!((&result["success"], &result["output"]), (&json!(true), &Value::Null));
    assert_eq!(log[1..], ["stage s: what it returned cannot be written as JSON, and is not kept"]);
}

#[tokio::test]
async fn stages_of_one_name_keep_what_each_returned() {
    let stages: Vec<String> = (1..=3).map(|number| stage(&format!("return {number}"))).collect();
    let (result, _) = run(&stages.join(", ")).await;
    assert_eq!(result["output"], json!({"s": 1, "s 2": 2, "s 3": 3}));
}

#[tokio::test]
async fn a_result_says_that_the_log_was_refused() {
    let server = ScriptedServer::start().await;
    server.change(|known| known.refuses_logs = true);
    let _runner = Runner::start(&server, &[]);
    for (script, success, expected) in [
        ("log.info('a')", true, "the log is incomplete: the server refused: 403"),
        ("error('b', 0)", false, "stage s: b; the log is incomplete: the server refused: 403"),
    ] {
        let job = server.launch(&format!("return {{ name = 'x', stages = {{ {} }} }}", stage(script)));
        let result = &server.completion(job).await["result"];
        assert_eq!((&result["success"], &result["error_message"]), (&json!(success), &json!(expected)));
    }
}

#[tokio::test]
async fn an_error_without_place_or_text_gets_them() {
    for (script, expected) in [
        ("\nlog.info(env.get(true))", "stage s: line 2: bad argument #1"),
        ("\n\nerror({ code = 3 })", "stage s: line 3: an error that is a table, without text"),
        ("error()", "stage s: line 1: an error that is nil, without text"),
        (
            "process.run('pwd', { cwd = 'nope' })",
            "stage s: line 1: `pwd` cannot be run in nope: there is no such directory",
        ),
        (
            "\nprocess.run({ 'sh', '-c', 'exit 3\\n' .. (' '):rep(20000) .. '#' })",
            "stage s: `exit 3…` exited with 3",
        ),
    ] {
        let (result, _) = run(&stage(script)).await;
        let error = result["error_message"].as_str().unwrap();
        assert!(error.starts_with(expected), "{script}: {error}");
    }
}

#[tokio::test]
async fn a_report_that_is_redirected_to_a_login_is_not_taken_for_accepted() {
    let server = ScriptedServer::start().await;
    server.change(|known| known.redirects = true);
    let _runner = Runner::start(&server, &[]);
    let script = stage("log.info('a')");
    let job = server.launch(&format!("return {{ name = 'x', stages = {{ {script} }} }}"));
    server.until("a repeated report", |known| (known.redirected > 3).then_some(())).await;
    server.change(|known| known.redirects = false);
    assert_eq!(server.completion(job).await["status"], "Succeeded");
    assert!(server.messages(job).contains(&"a".to_owned()));
}
