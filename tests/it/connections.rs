//! What a client can rely on that sends one request after the other over one connection.

use std::time::Duration;

use rivet_tests::sample::new_job;
use rivet_tests::server::{SWEEP_OFTEN, TestApp};
use rivet_tests::store::StoreKind;
use rivet_tests::wait::{let_pass, until_job_is};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn open(app: &TestApp) -> Self {
        Self(BufReader::new(TcpStream::connect(app.server.address()).await.unwrap()))
    }

    async fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// The head of the next answer, whose body is read too.
    async fn answer(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).await.unwrap() > 0, "the connection has ended: {head}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.unwrap();
        head
    }
}

/// Head and body come one after the other, as many clients send them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_ready_before_the_body_keeps_the_connection() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let api = app.client();
    let mut connection = Connection::open(&app).await;
    for (request, content_type, status) in [
        ("POST /api/pipeline/create", "text/plain", "415"),
        ("POST /api/jobs/zz/claim", "application/json", "400"),
        ("POST /api/nope", "application/json", "404"),
        ("POST /api/jobs", "application/json", "405"),
        ("DELETE /api/runners/nobody", "application/json", "404"),
        ("GET /api/jobs", "application/json", "200"),
    ] {
        let head = format!("{request} HTTP/1.1\r\nhost: a\r\ncontent-type: {content_type}");
        connection.send(&format!("{head}\r\ncontent-length: 2\r\n\r\n")).await;
        // Lets the server handle the head first.
        api.get("/livez").await.expect(200);
        connection.send("{}").await;
        let answer = connection.answer().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        assert!(!answer.contains("connection: close"), "{request}: {answer}");
        connection.send("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(connection.answer().await.starts_with("HTTP/1.1 200"), "{request}");
    }
}

/// The client would send the body only if it were asked for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_before_a_body_that_is_not_asked_for_ends_the_connection() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let mut connection = Connection::open(&app).await;
    let head = "POST /api/nope HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    connection.send(head).await;
    let answer = connection.answer().await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"), "{answer}");
    assert_eq!(connection.0.read(&mut [0; 1]).await.unwrap(), 0);
}

/// Who holds the job may be among those that wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lease_expires_while_new_connections_have_to_wait() {
    let flags = ["--max-connections", "3", "--lease", "4s", SWEEP_OFTEN];
    let app = TestApp::start_with(StoreKind::Sqlite, &flags).await;
    let api = app.client();
    let job = new_job(&api).await;
    api.claim_fencing(&job, "holder").await.expect(200);
    let mut others = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::open(&app).await;
        connection.send("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await;
        others.push(connection);
    }
    // Longer than the startup grace and the lease.
    let_pass(Duration::from_secs(9)).await;
    drop(others);
    let shown = api.job(&job).await.expect(200);
    assert_eq!((&shown["status"], &shown["attempt"]), (&json!("Running"), &json!(1)));
    until_job_is(&api, &job, "Queued").await;
}
