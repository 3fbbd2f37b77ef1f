//! A proxy that loses answers: every request reaches the server, but its answer is lost once or twice before it comes
//! through.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::client::Client;
use crate::server::Server;

/// Longest request that the proxy accepts, in bytes.
const MAX_REQUEST: usize = 1 << 20;

/// A proxy between clients and a server, which runs until the runtime of its test ends.
#[derive(Debug)]
pub struct LossyProxy {
    base: String,
    traffic: Arc<Traffic>,
}

#[derive(Debug)]
struct Traffic {
    server: String,
    seed: u64,
    /// How often each request came, by its digest.
    seen: Mutex<HashMap<u64, u64>>,
    lost: AtomicUsize,
}

impl LossyProxy {
    /// Starts a proxy for `server`. The seed decides which answers are lost twice.
    pub async fn start(server: &Server, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let base = format!("http://{}", listener.local_addr().expect("it is bound"));
        let traffic = Arc::new(Traffic {
            server: server.address().to_owned(),
            seed,
            seen: Mutex::default(),
            lost: AtomicUsize::new(0),
        });
        let (passing, tasks) = (Arc::clone(&traffic), TaskTracker::new());
        tasks.clone().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let traffic = Arc::clone(&passing);
                tasks.spawn(async move { traffic.pass(client).await });
            }
        });
        Self { base, traffic }
    }

    /// A client that sends its requests through the proxy, each over a new connection.
    pub fn client(&self) -> Client {
        Client::new(self.base.clone()).with("connection", "close")
    }

    /// Number of lost answers.
    pub fn lost(&self) -> usize {
        self.traffic.lost.load(Ordering::Relaxed)
    }
}

impl Traffic {
    /// Handles one request, whose answer may be lost.
    async fn pass(&self, mut client: TcpStream) -> io::Result<()> {
        let request = read_request(&mut client).await?;
        let mut server = TcpStream::connect(&self.server).await?;
        server.write_all(&request).await?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await?;
        if self.loses(&request) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        client.write_all(&answer).await?;
        client.shutdown().await
    }

    fn loses(&self, request: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        (self.seed, request).hash(&mut hasher);
        let digest = hasher.finish();
        let mut seen = self.seen.lock().expect("no holder of the lock panics");
        let times = seen.entry(digest).or_default();
        *times += 1;
        *times <= 1 + digest % 2
    }
}

/// Reads a whole request, by its `Content-Length`.
pub(crate) async fn read_request(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    while request.len() < MAX_REQUEST {
        if client.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(head) = request.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        let lines = String::from_utf8_lossy(&request[..head]).to_lowercase();
        let length = lines.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or_default();
        if request.len() >= head + 4 + length {
            return Ok(request);
        }
    }
    Err(io::ErrorKind::FileTooLarge.into())
}
