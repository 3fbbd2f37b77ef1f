//! What a script is given, and what is said of one that breaks.

use serde_json::{Value, json};

use crate::fixture::Runner;
use crate::scripted_server::ScriptedServer;

#[tokio::test]
async fn a_job_sees_nothing_of_the_runners_environment() {
    let server = ScriptedServer::start().await;
    let _runner = Runner::start(&server, &[]);
    let source = "return { name = 'env', config = { env_vars = { GREETING = 'hi' } }, stages = { { name = 'env', script = function()
        process.run('env | cut -d= -f1 | sort')
        log.info(env.get('GREETING') .. ' ' .. tostring(env.get('RUNNER_SECRET')) .. ' ' .. env.get('X', 'default'))
    end } } }";
    let job = server.launch(source);
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
    let server = ScriptedServer::start().await;
    let _runner = Runner::start(&server, &[]);
    let source = "return { name = 'env', config = { env_vars = { A = 'script', B = 'script' } }, stages = {
        { name = 'env', script = function() log.info(env.A, env.B) end }
    } }";
    for (members, said) in [
        (json!({}), "script\tscript"),
        (json!({"env_vars": {"A": "request"}}), "request\tnil"),
        (json!({"env_vars": {}}), "nil\tnil"),
    ] {
        let job = server.launch_with(source, &members);
        assert_eq!(server.completion(job).await["status"], "Succeeded");
        assert_eq!(server.messages(job)[1..], [said], "{members}");
    }
}

#[tokio::test]
async fn a_script_that_breaks_fails_its_job_and_says_where() {
    let server = ScriptedServer::start().await;
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
        let job = server.launch(source);
        let completion = server.completion(job).await;
        assert_eq!(completion["status"], "Failed", "{source}");
        let error: &Value = &completion["result"]["error_message"];
        assert!(error.as_str().is_some_and(|error| error.contains(expected)), "{source}: {error}");
    }
}
