//! A server with a few routes, and a client that says and reads what a test wants.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::server::{Connections, Timeouts, serve};

/// Longer than any test may take.
const LONG: Duration = Duration::from_mins(5);
/// Long enough for a client that sends at once, even if the machine stalls.
pub(super) const BRISK: Duration = Duration::from_secs(2);
/// For timeouts that are meant to expire.
pub(super) const SHORT: Duration = Duration::from_millis(50);

pub(super) const PATIENT: Timeouts =
    Timeouts { head: LONG, idle: LONG, body: LONG, send: LONG, arrival: LONG, drain: LONG };

/// More than the buffers of a connection take.
const LARGE: usize = 64 * 1024 * 1024;

/// A server whose `/held` answers when it is let go, and whose `/live` is a stream with an event each time that it is.
pub(super) struct Fixture {
    pub(super) address: SocketAddr,
    pub(super) connections: Arc<Connections>,
    pub(super) shutdown: CancellationToken,
    pub(super) server: JoinSet<()>,
    pub(super) arrivals: mpsc::UnboundedReceiver<()>,
    pub(super) let_go: Arc<Notify>,
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

async fn live(State(held): State<Held>) -> Body {
    let event = |held: Held| async {
        held.let_go.notified().await;
        Some((Ok::<_, io::Error>("event"), held))
    };
    Body::from_stream(stream::unfold(held, event))
}

/// A stream that always has more to send.
async fn endless() -> Body {
    Body::from_stream(stream::repeat_with(|| Ok::<_, io::Error>("event")))
}

pub(super) async fn start(timeouts: Timeouts) -> Fixture {
    start_for(10, timeouts).await
}

/// A server that serves at most so many connections at a time.
pub(super) async fn start_for(max_connections: usize, timeouts: Timeouts) -> Fixture {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (arrived, arrivals) = mpsc::unbounded_channel();
    let let_go = Arc::new(Notify::new());
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/held", get(held))
        .route("/live", get(live))
        .route("/endless", get(endless))
        .route("/large", get(|| async { vec![b'a'; LARGE] }))
        .route("/body", post(async |body: Bytes| (StatusCode::OK, body)))
        .with_state(Held { arrived, let_go: Arc::clone(&let_go) });
    let shutdown = CancellationToken::new();
    let mut server = JoinSet::new();
    let connections = Arc::new(Connections::new(max_connections));
    server.spawn(serve(listener, router, shutdown.clone(), timeouts, Arc::clone(&connections)));
    Fixture { address, connections, shutdown, server, arrivals, let_go }
}

impl Fixture {
    pub(super) async fn connect(&self) -> Client {
        Client(BufReader::new(TcpStream::connect(self.address).await.unwrap()))
    }

    /// Asks the server to stop, and waits until it has.
    pub(super) async fn stop(mut self) {
        self.shutdown.cancel();
        self.server.join_next().await.unwrap().unwrap();
    }
}

pub(super) struct Client(pub(super) BufReader<TcpStream>);

impl Client {
    pub(super) async fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    pub(super) async fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    }

    /// Reads until `end` has come.
    pub(super) async fn read_until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            read.push(self.0.read_u8().await.unwrap());
        }
        String::from_utf8(read).unwrap()
    }

    /// Nothing comes for longer than a timeout.
    pub(super) async fn outlasts(&mut self, limit: Duration) {
        assert!(tokio::time::timeout(limit + 2 * SHORT, self.rest()).await.is_err());
    }

    /// Reads until the server closes the connection.
    pub(super) async fn rest(&mut self) -> String {
        let mut read = String::new();
        self.0.read_to_string(&mut read).await.unwrap();
        read
    }
}
