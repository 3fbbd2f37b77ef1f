//! The connections under the HTTP API: accepts them, limits what each client may hold, and drains them on shutdown.
//!
//! Each kind of wait for a client has its own timeout, so that slow or silent clients cannot use up the server. Long
//! polls and event streams, where the client waits for the server, have none but that for taking what is sent.

mod connections;
mod head_timer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::io::InspectReader;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::timeout::RequestBodyTimeout;
use tracing::{debug, warn};

pub(crate) use connections::Connections;
use head_timer::HeadTimer;

/// Pause after an accept that failed because a resource ran out, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Timeouts for what the server waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// Time for the head of a request, from its first byte (on a new connection: from the accept) to its last.
    pub(crate) head: Duration,
    /// Keep-alive time between two requests of a connection. Longer than the idle timeouts of clients and load
    /// balancers (60 s and 90 s are usual), so that they close first and never send a request into a closing
    /// connection.
    pub(crate) idle: Duration,
    /// Time between two chunks of a request's body.
    pub(crate) body: Duration,
    /// Time that a client may take nothing of what is sent to it: nothing is acknowledged, or its receive window stays
    /// full. Without it, such a client would hold its connection for as long as it acknowledges the probes of its
    /// window. The kernel measures it, in milliseconds, and only on Linux.
    pub(crate) send: Duration,
    /// How long after the shutdown began a connection that has sent nothing yet stays open: its first request may be
    /// on its way.
    pub(crate) arrival: Duration,
    /// Time for the requests in flight to finish after the shutdown began.
    pub(crate) drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_mins(2),
            body: Duration::from_secs(30),
            send: Duration::from_mins(2),
            arrival: Duration::from_millis(200),
            drain: Duration::from_secs(10),
        }
    }
}

/// Serves until `shutdown`, no more connections at a time than there may be; further ones wait. Then lets the requests
/// in flight finish, up to the drain timeout, and cuts off the rest. It does not fail: a failed accept is retried, and
/// a failed connection concerns only its client.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    timeouts: Timeouts,
    connections: Arc<Connections>,
) {
    let tasks = TaskTracker::new();
    let drained = CancellationToken::new();
    let server = Server { router, shutdown: shutdown.clone(), drained: drained.clone(), timeouts };
    while let Some((stream, slot)) = shutdown.run_until_cancelled(accept(&listener, &connections)).await {
        tasks.spawn(server.clone().serve_connection(stream, slot));
    }
    // Clients in the backlog may have sent their requests already, which would be lost when the listener closes.
    for (stream, slot) in backlog(listener, &connections) {
        tasks.spawn(server.clone().serve_connection(stream, slot));
    }
    tasks.close();
    if tokio::time::timeout(timeouts.drain, tasks.wait()).await.is_err() {
        warn!(connections = tasks.len(), "cutting connections that did not finish in time");
        drained.cancel();
        tasks.wait().await;
    }
}

/// Waits for the next connection, then for a free slot.
async fn accept(listener: &TcpListener, connections: &Connections) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, connections.slot().await),
            Err(error) if concerns_one_connection(&error) => debug!(%error, "a connection was not accepted"),
            Err(error) => {
                warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Accepts the connections that are still in the listener's backlog, as far as there are slots for them. Uses the
/// socket directly, since the runtime may not know yet of the last ones.
fn backlog(listener: TcpListener, connections: &Connections) -> Vec<(TcpStream, OwnedSemaphorePermit)> {
    let mut waiting = Vec::new();
    let Ok(listener) = listener.into_std() else { return waiting };
    while let Some(slot) = connections.free_slot()
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

/// Sets how long sent data may stay unacknowledged, or data to send may wait for the client's receive window, before
/// the kernel ends the connection.
#[cfg(target_os = "linux")]
fn limit_sending(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
    let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    Ok(rustix::net::sockopt::set_tcp_user_timeout(stream, millis)?)
}

/// Other systems have no such limit.
#[cfg(not(target_os = "linux"))]
fn limit_sending(_: &TcpStream, _: Duration) -> io::Result<()> {
    Ok(())
}

/// What each connection needs.
#[derive(Clone)]
struct Server {
    router: Router,
    shutdown: CancellationToken,
    /// Cancelled when the drain timeout has passed: what is still open is cut off.
    drained: CancellationToken,
    timeouts: Timeouts,
}

impl Server {
    async fn serve_connection(self, stream: TcpStream, slot: OwnedSemaphorePermit) {
        let prepared = stream.set_nodelay(true).and_then(|()| limit_sending(&stream, self.timeouts.send));
        if let Err(error) = prepared {
            debug!(%error, "a connection broke before its first request");
            return;
        }
        let timer = HeadTimer::new(self.timeouts.head);
        let reads = timer.clone();
        let stream = InspectReader::new(stream, move |bytes: &[u8]| reads.note(bytes));
        let service = RequestBodyTimeout::new(self.router, self.timeouts.body);
        let connection = http1::Builder::new()
            .timer(timer.clone())
            .header_read_timeout(self.timeouts.idle)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut connection = std::pin::pin!(connection);
        let mut ended = tokio::select! {
            // The connection first, so that a request that has arrived is served: one without is closed below as
            // idle.
            biased;
            ended = connection.as_mut() => Some(ended),
            () = self.shutdown.cancelled() => None,
        };
        if ended.is_none() {
            ended = tokio::select! {
                biased;
                ended = connection.as_mut() => Some(ended),
                () = timer.until_spoken() => None,
                () = tokio::time::sleep(self.timeouts.arrival) => None,
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
