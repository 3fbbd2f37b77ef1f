//! The connections under the HTTP API: accepts them, bounds what a client may hold, and lets them finish on shutdown.
//!
//! Every wait for a client has a bound of its own, so that slow or silent clients cannot use up the server, while
//! long polls and event streams, which wait for the server, may take as long as they like.

mod head_timer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::io::InspectReader;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::timeout::RequestBodyTimeout;
use tracing::{debug, warn};

use head_timer::HeadTimer;

/// Pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What a client may hold, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerLimits {
    /// Connections at a time; further ones wait in the listener's backlog.
    pub(crate) max_connections: usize,
    /// From the first byte of a request's head (of a new connection: from its opening) to the last.
    pub(crate) head_timeout: Duration,
    /// Between two requests of a connection. Longer than the idle timeouts of clients and load balancers (60 s and
    /// 90 s are usual), so that they close first and never send a request into a closing connection.
    pub(crate) idle_timeout: Duration,
    /// Between two pieces of a request's body.
    pub(crate) body_timeout: Duration,
    /// How long a new connection stays open after the end began: the request that it was made for may be on its way.
    pub(crate) arrival_timeout: Duration,
    /// For the requests under way when the server stops.
    pub(crate) drain_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(2),
            body_timeout: Duration::from_secs(30),
            arrival_timeout: Duration::from_millis(200),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Serves until `shutdown`, then lets the requests under way finish, up to the drain timeout. It does not fail: a
/// failed accept is survived, a failed connection concerns its client alone.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    limits: ServerLimits,
) {
    let connections = TaskTracker::new();
    let drained = CancellationToken::new();
    let server = Server { router, shutdown: shutdown.clone(), drained: drained.clone(), limits };
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    while let Some((stream, slot)) = shutdown.run_until_cancelled(accept(&listener, &slots)).await {
        connections.spawn(server.clone().serve_connection(stream, slot));
    }
    // Who is in the backlog has perhaps sent its request: it would be lost with the listener.
    for (stream, slot) in backlog(listener, &slots) {
        connections.spawn(server.clone().serve_connection(stream, slot));
    }
    connections.close();
    if tokio::time::timeout(limits.drain_timeout, connections.wait()).await.is_err() {
        warn!(connections = connections.len(), "cutting connections that did not finish in time");
        drained.cancel();
        connections.wait().await;
    }
}

/// The next connection, once there is a slot for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let slot = Arc::clone(slots).acquire_owned().await.expect("invariant: the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) if concerns_one_connection(&error) => debug!(%error, "a connection was not accepted"),
            Err(error) => {
                warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The connections that wait to be accepted, as far as there are slots for them. Asks the system, not the runtime, which
/// may not have heard of the last ones.
fn backlog(listener: TcpListener, slots: &Arc<Semaphore>) -> Vec<(TcpStream, OwnedSemaphorePermit)> {
    let mut waiting = Vec::new();
    let Ok(listener) = listener.into_std() else { return waiting };
    while let Ok(slot) = Arc::clone(slots).try_acquire_owned()
        && let Ok((stream, _)) = listener.accept()
        && stream.set_nonblocking(true).is_ok()
        && let Ok(stream) = TcpStream::from_std(stream)
    {
        waiting.push((stream, slot));
    }
    waiting
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    [ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted].contains(&error.kind())
}

#[derive(Clone)]
struct Server {
    router: Router,
    shutdown: CancellationToken,
    /// The time for the last requests is over.
    drained: CancellationToken,
    limits: ServerLimits,
}

impl Server {
    async fn serve_connection(self, stream: TcpStream, slot: OwnedSemaphorePermit) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection broke before its first request");
            return;
        }
        let timer = HeadTimer::new(self.limits.head_timeout);
        let (reads, has_spoken) = (timer.clone(), CancellationToken::new());
        let speaks = has_spoken.clone();
        let stream = InspectReader::new(stream, move |bytes: &[u8]| {
            if !bytes.is_empty() {
                speaks.cancel();
            }
            reads.note(bytes);
        });
        let service = RequestBodyTimeout::new(self.router, self.limits.body_timeout);
        let connection = http1::Builder::new()
            .timer(timer)
            .header_read_timeout(self.limits.idle_timeout)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut connection = std::pin::pin!(connection);
        let mut ended = tokio::select! {
            // First what has arrived: a connection that seems idle is closed below.
            biased;
            ended = connection.as_mut() => Some(ended),
            () = self.shutdown.cancelled() => None,
        };
        if ended.is_none() {
            ended = tokio::select! {
                biased;
                ended = connection.as_mut() => Some(ended),
                () = has_spoken.cancelled() => None,
                () = tokio::time::sleep(self.limits.arrival_timeout) => None,
            };
        }
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            ended = self.drained.run_until_cancelled(connection).await;
        }
        if let Some(Err(error)) = ended {
            debug!(%error, "a connection ended early");
        }
        drop(slot);
    }
}

#[cfg(test)]
mod tests;
