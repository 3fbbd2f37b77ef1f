//! How a runner registers and claims jobs.

use crate::fixture::{Runner, example};
use crate::scripted_server::{Misbehaviour, ScriptedServer};

#[tokio::test]
async fn a_runner_registers_what_it_can_do() {
    let server = ScriptedServer::start().await;
    let _runner = Runner::start(&server, &["--capability", "os=linux"]);
    let registration = server.until("a registration", |known| known.registrations.first().cloned()).await;
    assert_eq!(registration["runner_id"], "läufer 1/a");
    let capabilities: Vec<String> = serde_json::from_value(registration["capabilities"].clone()).unwrap();
    assert!(["os=linux", "log", "process"].iter().all(|one| capabilities.iter().any(|it| it == one)));
    assert!(registration["boot_id"].is_string());
}

#[tokio::test]
async fn an_older_server_is_polled() {
    let server = ScriptedServer::start_with(Misbehaviour { older: true, ..Misbehaviour::default() }).await;
    let job = server.launch(&example("hello.lua"));
    let _runner = Runner::start(&server, &[]);
    assert_eq!(server.completion(job).await["status"], "Succeeded");
}

#[tokio::test]
async fn lost_requests_and_answers_lose_no_job_and_repeat_no_line() {
    for older in [false, true] {
        let server =
            ScriptedServer::start_with(Misbehaviour { older, lossy: true, ..Misbehaviour::default() }).await;
        let source = "return { name = 'count', stages = { { name = 'count', script = function()
            process.run('seq 1 5000')
        end } } }";
        let jobs: Vec<_> = (0..2).map(|_| server.launch(source)).collect();
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
        let server = ScriptedServer::start_with(misbehaviour).await;
        let job = server.launch(&example("hello.lua"));
        let _runner = Runner::start(&server, &[]);
        assert_eq!(server.completion(job).await["status"], "Succeeded");
    }
}
