//! The rules of a connection, over real sockets.

use std::net::SocketAddr;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::*;

/// Longer than any test may take.
const LONG: Duration = Duration::from_mins(5);
/// Long enough for a client that sends at once, even if the machine stalls.
const BRISK: Duration = Duration::from_secs(2);
/// For timeouts that are meant to expire.
const SHORT: Duration = Duration::from_millis(50);

const PATIENT: ServerLimits = ServerLimits {
    max_connections: 10,
    head_timeout: LONG,
    idle_timeout: LONG,
    body_timeout: LONG,
    arrival_timeout: LONG,
    drain_timeout: LONG,
};

/// A server whose `/held` answers when it is let go.
struct Fixture {
    address: SocketAddr,
    shutdown: CancellationToken,
    server: JoinSet<()>,
    arrivals: mpsc::UnboundedReceiver<()>,
    let_go: Arc<Notify>,
}

#[derive(Clone)]
struct Held {
    arrived: mpsc::UnboundedSender<()>,
    let_go: Arc<Notify>,
}

async fn held(State(held): State<Held>) -> &'static str {
    held.arrived.send(()).unwrap();
    held.let_go.notified().await;
    "held"
}

async fn start(limits: ServerLimits) -> Fixture {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (arrived, arrivals) = mpsc::unbounded_channel();
    let let_go = Arc::new(Notify::new());
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/held", get(held))
        .route("/body", post(async |body: Bytes| (StatusCode::OK, body)))
        .with_state(Held { arrived, let_go: Arc::clone(&let_go) });
    let shutdown = CancellationToken::new();
    let mut server = JoinSet::new();
    server.spawn(serve(listener, router, shutdown.clone(), limits));
    Fixture { address, shutdown, server, arrivals, let_go }
}

impl Fixture {
    async fn connect(&self) -> Client {
        Client(BufReader::new(TcpStream::connect(self.address).await.unwrap()))
    }

    /// Asks the server to stop, and waits until it has.
    async fn stop(mut self) {
        self.shutdown.cancel();
        self.server.join_next().await.unwrap().unwrap();
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    async fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    }

    /// Reads until `end` has come.
    async fn read_until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            read.push(self.0.read_u8().await.unwrap());
        }
        String::from_utf8(read).unwrap()
    }

    /// Nothing comes for longer than a timeout.
    async fn outlasts(&mut self, limit: Duration) {
        assert!(tokio::time::timeout(limit + 2 * SHORT, self.rest()).await.is_err());
    }

    /// Reads until the server closes the connection.
    async fn rest(&mut self) -> String {
        let mut read = String::new();
        self.0.read_to_string(&mut read).await.unwrap();
        read
    }
}

#[tokio::test]
async fn a_connection_that_sends_no_whole_head_is_cut() {
    let server = start(ServerLimits { head_timeout: BRISK, ..PATIENT }).await;
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    slow.send("GET / HTTP/1.1\r\nhost:").await;
    assert_eq!((silent.rest().await, slow.rest().await), (String::new(), String::new()));
}

#[tokio::test]
async fn a_slow_head_is_cut_on_a_connection_that_was_good_before() {
    let server = start(ServerLimits { head_timeout: BRISK, ..PATIENT }).await;
    let mut client = server.connect().await;
    client.get("/").await;
    client.read_until("hello").await;
    client.send("GET / HTTP/1.1\r\nhost:").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_connection_may_rest_for_longer_than_a_head_may_take() {
    let server = start(ServerLimits { head_timeout: BRISK, ..PATIENT }).await;
    let mut client = server.connect().await;
    client.get("/").await;
    client.read_until("hello").await;
    client.outlasts(BRISK).await;
    client.get("/").await;
    client.read_until("hello").await;
}

#[tokio::test]
async fn a_connection_that_rests_for_too_long_is_closed() {
    let server = start(ServerLimits { idle_timeout: SHORT, ..PATIENT }).await;
    let mut client = server.connect().await;
    client.get("/").await;
    assert!(client.rest().await.ends_with("hello"));
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let server = start(ServerLimits { body_timeout: SHORT, ..PATIENT }).await;
    let mut client = server.connect().await;
    client.send("POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab").await;
    assert!(client.rest().await.starts_with("HTTP/1.1 4"));
}

#[tokio::test]
async fn an_answer_may_take_longer_than_any_wait_for_the_client() {
    let limits = ServerLimits { head_timeout: BRISK, idle_timeout: SHORT, body_timeout: SHORT, ..PATIENT };
    let mut server = start(limits).await;
    let mut client = server.connect().await;
    client.get("/held").await;
    server.arrivals.recv().await;
    client.outlasts(BRISK).await;
    server.let_go.notify_one();
    client.read_until("held").await;
}

#[tokio::test]
async fn connections_past_the_cap_wait_for_their_turn() {
    let server = start(ServerLimits { max_connections: 1, ..PATIENT }).await;
    let mut first = server.connect().await;
    first.get("/").await;
    first.read_until("hello").await;
    let mut second = server.connect().await;
    second.get("/").await;
    second.outlasts(SHORT).await;
    drop(first);
    second.read_until("hello").await;
}

#[tokio::test]
async fn a_request_under_way_finishes_on_shutdown() {
    let mut server = start(PATIENT).await;
    let mut client = server.connect().await;
    client.get("/held").await;
    server.arrivals.recv().await;
    server.shutdown.cancel();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.let_go.notify_one();
    let answer = client.rest().await;
    assert!(answer.contains("connection: close") && answer.ends_with("held"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn idle_connections_do_not_delay_shutdown() {
    let server = start(ServerLimits { arrival_timeout: SHORT, ..PATIENT }).await;
    let mut used = server.connect().await;
    used.get("/").await;
    used.read_until("hello").await;
    let mut fresh = server.connect().await;
    server.stop().await;
    assert_eq!((used.rest().await, fresh.rest().await), (String::new(), String::new()));
}

#[tokio::test]
async fn what_had_connected_before_the_end_is_served() {
    let server = start(PATIENT).await;
    let mut accepted = server.connect().await;
    let mut used = server.connect().await;
    used.get("/").await;
    used.read_until("hello").await;
    // The server has no chance to accept this one before the end.
    let late = std::net::TcpStream::connect(server.address).unwrap();
    late.set_nonblocking(true).unwrap();
    let mut in_backlog = Client(BufReader::new(TcpStream::from_std(late).unwrap()));
    server.shutdown.cancel();
    for client in [&mut accepted, &mut in_backlog] {
        client.get("/").await;
        client.read_until("hello").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_is_cut() {
    let mut server = start(ServerLimits { drain_timeout: SHORT, ..PATIENT }).await;
    let mut client = server.connect().await;
    client.get("/held").await;
    server.arrivals.recv().await;
    server.stop().await;
    assert_eq!(client.rest().await, "");
}
