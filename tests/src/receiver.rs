//! A receiver of webhooks: an HTTP server that records deliveries, and answers as it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::wait::eventually;

/// A delivery, as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The headers, by their names in lower case.
    pub headers: HashMap<String, String>,
    /// The body, byte for byte.
    pub body: String,
    /// The status that it was answered with; 0 if it was not answered.
    pub status: u16,
}

impl Received {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The position of its event.
    #[track_caller]
    pub fn position(&self) -> u64 {
        position(&self.json())
    }

    /// The positions of the events of a batch.
    #[track_caller]
    pub fn positions(&self) -> Vec<u64> {
        let batch = self.json();
        batch.as_array().unwrap_or_else(|| panic!("no batch: {batch}")).iter().map(position).collect()
    }
}

#[track_caller]
fn position(event: &Value) -> u64 {
    let sequence = event["sequence"].as_str().and_then(|sequence| sequence.parse().ok());
    sequence.unwrap_or_else(|| panic!("no position in {event}"))
}

/// A running receiver. It stops when dropped.
#[derive(Debug)]
pub struct Receiver {
    address: String,
    shared: Arc<Mutex<Shared>>,
    _running: DropGuard,
}

#[derive(Debug, Default)]
struct Shared {
    received: Vec<Received>,
    /// The answers to the next deliveries; 204 after those.
    answers: VecDeque<String>,
    /// The answer to all deliveries, while it is set.
    always: Option<String>,
}

impl Receiver {
    /// Starts a receiver on a free port of the loopback interface.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (shared, running) = (Arc::new(Mutex::new(Shared::default())), CancellationToken::new());
        let (noted, stop) = (Arc::clone(&shared), running.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with its value")]
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (noted, stop) = (Arc::clone(&noted), stop.clone());
                tokio::spawn(stop.run_until_cancelled_owned(async move {
                    serve(connection, &noted).await;
                }));
            }
        }));
        Self { address, shared, _running: running.drop_guard() }
    }

    /// The address that it listens on, as `IP:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers the next deliveries with these status lines, such as `500 Oops`; for an empty one, it closes the
    /// connection without an answer.
    pub fn answer_next<'a>(&self, heads: impl IntoIterator<Item = &'a str>) {
        self.shared().answers.extend(heads.into_iter().map(str::to_owned));
    }

    /// Answers every delivery with this status line, until it is told otherwise.
    pub fn answer_always(&self, head: Option<&str>) {
        self.shared().always = head.map(str::to_owned);
    }

    /// The deliveries so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared().received.clone()
    }

    /// Waits until `look` returns a value for the deliveries so far. It is called again only when more have come, so
    /// it may read all of them.
    pub async fn eventually<T>(&self, what: &str, mut look: impl FnMut(&[Received]) -> Option<T>) -> T {
        let mut known = 0;
        eventually(what, async || {
            let came = self.more_than(known)?;
            known = came.len();
            look(&came)
        })
        .await
    }

    fn more_than(&self, known: usize) -> Option<Vec<Received>> {
        let shared = self.shared();
        (shared.received.len() > known).then(|| shared.received.clone())
    }

    /// The last delivery.
    pub fn last(&self) -> Option<Received> {
        self.shared().received.last().cloned()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no holder of the lock panics")
    }
}

/// Handles the requests of one connection, one after the other.
async fn serve(mut connection: TcpStream, shared: &Mutex<Shared>) {
    let (reading, mut writing) = connection.split();
    let mut reading = BufReader::new(reading);
    while let Some((headers, body)) = request(&mut reading).await {
        let head = {
            let mut shared = shared.lock().expect("no holder of the lock panics");
            let head = shared.always.clone().or_else(|| shared.answers.pop_front());
            let head = head.unwrap_or_else(|| "204 No Content".to_owned());
            let status = head.get(..3).and_then(|status| status.parse().ok()).unwrap_or_default();
            shared.received.push(Received { headers, body, status });
            head
        };
        if head.is_empty() {
            break;
        }
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
        if writing.write_all(answer.as_bytes()).await.is_err() {
            break;
        }
    }
}

async fn request(
    reading: &mut BufReader<tokio::net::tcp::ReadHalf<'_>>,
) -> Option<(HashMap<String, String>, String)> {
    let mut headers = HashMap::new();
    let mut line = String::new();
    loop {
        line.clear();
        if reading.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None if line == "\r\n" => break,
            None => None,
        };
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    let mut body = vec![0; length];
    reading.read_exact(&mut body).await.ok()?;
    Some((headers, String::from_utf8(body).ok()?))
}
