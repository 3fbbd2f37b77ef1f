//! The load tool: its figures add up, it leaves nothing behind, and it reports a server that fails.

use std::time::Duration;

use rivet_tests::on_both_stores;
use rivet_tests::program::{client_command, finish, signal, spawn};
use rivet_tests::sample::UNKNOWN;
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio::task::JoinSet;
use tokio::time::timeout;

on_both_stores! { the_figures_add_up_in_dialect_a, the_figures_add_up_in_dialect_b, a_schedule_is_kept }

const LIFECYCLES: u64 = 12;
/// How long the first jobs may take. Generous: only a failing test waits this long.
const PATIENCE: Duration = Duration::from_mins(2);

fn bench(server: &str, args: &[&str]) -> Child {
    spawn(&mut client_command(server, &[&["bench", "--json"], args].concat()))
}

/// The JSON report of a run that ended with this exit code.
async fn report(process: Child, code: i32) -> Value {
    let output = finish(process).await;
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn figures<'a>(report: &'a Value, operation: &str) -> Option<&'a Value> {
    report["operations"].as_array().unwrap().iter().find(|of| of["operation"] == operation)
}

#[track_caller]
fn assert_ordered(figures: &Value) {
    let at = ["p50", "p95", "p99", "max"].map(|name| figures[name].as_f64().unwrap());
    assert!(at.is_sorted() && at[0] >= 0.0, "{figures}");
}

async fn the_figures_add_up_in_dialect_a(kind: StoreKind) {
    the_figures_add_up(kind, "a").await;
}

async fn the_figures_add_up_in_dialect_b(kind: StoreKind) {
    the_figures_add_up(kind, "b").await;
}

async fn the_figures_add_up(kind: StoreKind, dialect: &str) {
    let app = TestApp::start(kind).await;
    let pid = app.server.pid().as_raw_nonzero().to_string();
    let load = ["--dialect", dialect, "--lifecycles", "12", "--workers", "3", "--pid", &pid];
    let logs = ["--log-batches", "2", "--log-entries", "5", "--entry-bytes", "40"];
    let beside = ["--pollers", "4", "--poll-interval", "40ms", "--followers", "4"];
    let process = bench(app.server.url(), &[&load[..], &logs, &beside].concat());
    let report = report(process, 0).await;

    assert_eq!(report["lifecycles"]["completed"], LIFECYCLES, "{report}");
    for nothing in ["/lifecycles/failed", "/stale_reads", "/reconnects", "/followers/behind"] {
        assert_eq!(report.pointer(nothing), Some(&json!(0)), "{nothing} in {report}");
    }
    assert_eq!((&report["errors"], &report["left_behind"]), (&json!({}), &json!([])));
    assert_eq!(report["log_text_bytes"]["total"], LIFECYCLES * 2 * 5 * 40);

    let count = |operation| figures(&report, operation).map_or(0, |of| of["count"].as_u64().unwrap());
    for operation in ["lifecycle", "launch", "claim", "complete", "read_back"] {
        assert_eq!(count(operation), LIFECYCLES, "{operation} in {report}");
    }
    assert_eq!(count("status"), if dialect == "a" { LIFECYCLES } else { 0 });
    assert_eq!(count("append_logs"), 2 * LIFECYCLES);
    assert!(count("read_again") >= 1 && count("read_again") == count("read_logs"), "{report}");
    let operations = report["operations"].as_array().unwrap();
    let requests: u64 = operations.iter().map(|of| of["count"].as_u64().unwrap()).sum();
    assert_eq!(report["requests"]["total"], requests - LIFECYCLES);
    operations.iter().for_each(assert_ordered);
    assert_ordered(&report["projection_lag"]["events"]);
    assert_ordered(&report["projection_lag"]["age_ms"]);
    assert!(report["server"]["rss_bytes"].as_u64().unwrap() > 0, "{report}");

    let followers = &report["followers"];
    for followed in [&followers["events"], &followers["logs"]] {
        assert_eq!((&followed["clients"], &followed["missed"]), (&json!(2), &json!(0)), "{report}");
        assert!(followed["streams"].as_u64().unwrap() >= 2, "{report}");
    }
    // Six events for each job (launched, claimed, started, two batches, completed), received by both followers.
    assert!(followers["events"]["received"].as_u64().unwrap() >= 2 * 6 * LIFECYCLES, "{report}");
    assert_eq!(followers["logs"]["received"], followers["logs"]["streams"].as_u64().unwrap() * 10);

    let api = app.client();
    let jobs = api.get("/api/jobs").await.expect(200);
    let ended = jobs.as_array().unwrap().iter().filter(|job| job["status"] == "Succeeded").count();
    assert_eq!(ended as u64, LIFECYCLES);
    assert_eq!(api.get("/api/pipeline/list").await.expect(200), json!([]));
    assert_eq!(api.get("/api/runners").await.expect(200), json!([]));
}

async fn a_schedule_is_kept(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let args = ["--rate", "40", "--lifecycles", "8", "--workers", "8"];
    let report = report(bench(app.server.url(), &args), 0).await;
    assert_eq!(report["schedule"]["arrivals"], 8, "{report}");
    assert_eq!(figures(&report, "lifecycle").unwrap()["count"], 8);
    // Eight jobs start within seven intervals of 25 ms, minus the delay of the first one.
    assert!(report["seconds"].as_f64().unwrap() >= 0.1, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_tells_what_it_has() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let mut process = bench(app.server.url(), &["--workers", "2", "--duration", "1h", "--warm-up", "0s"]);
    let mut said = BufReader::new(process.stderr.take().unwrap()).lines();
    let has_begun = |line: &str| line.starts_with("measuring") && !line.contains(", 0 in all");
    let begun = async { while !has_begun(&said.next_line().await.unwrap().expect("it goes on")) {} };
    timeout(PATIENCE, begun).await.expect("jobs end");
    signal(&process, Signal::INT);
    let report = report(process, 0).await;
    assert_eq!((&report["interrupted"], &report["errors"]), (&json!(true), &json!({})));
    assert!(report["lifecycles"]["completed"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(app.client().get("/api/runners").await.expect(200), json!([]));
}

/// A server that accepts the preparation of a run, and refuses every job.
async fn refuse_jobs(listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(refuse(stream));
    }
}

async fn refuse(stream: TcpStream) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        stream.read_line(&mut first).await.ok().filter(|read| *read > 0)?;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        stream.read_exact(&mut vec![0; length]).await.ok()?;
        let (status, body) = if first.contains(" /api/pipeline/launch ") {
            ("503 Service Unavailable", r#"{"code":"overloaded"}"#.to_owned())
        } else {
            ("200 OK", format!(r#"{{"id":"{UNKNOWN}"}}"#))
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.get_mut().write_all(answer.as_bytes()).await.ok()?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(refuse_jobs(listener));
    let begin = || bench(&url, &["--lifecycles", "3", "--workers", "1"]);
    let mut unread = begin();
    drop(unread.stdout.take());
    assert_eq!(finish(unread).await.status.code(), Some(1));
    let report = report(begin(), 1).await;
    assert_eq!(report["errors"], json!({"launch: 503 overloaded": 3}));
    assert_eq!(report["lifecycles"]["failed"], 3);
    assert_eq!(figures(&report, "launch"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_begin_says_why() {
    let said = async |server: &str, args: &[&str]| {
        let output = finish(bench(server, args)).await;
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
        String::from_utf8(output.stderr).expect("it prints UTF-8")
    };
    let nobody = said("http://127.0.0.1:1", &[]).await;
    assert!(nobody.contains("the server cannot be prepared: create a pipeline: no connection"), "{nobody}");
    let no_process = said("http://127.0.0.1:1", &["--pid", "4294967295"]).await;
    assert!(no_process.contains("the figures of process 4294967295 cannot be read"), "{no_process}");
    let tls = said("https://127.0.0.1:1", &[]).await;
    assert!(tls.contains("https://127.0.0.1:1/ is not an http URL"), "{tls}");
}
