//! The runner's heartbeat. It has its own thread and async runtime, so that a blocked task of the runner cannot delay
//! it, and busy cores delay it no longer than the operating system's scheduler does.

use std::io;
use std::thread;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::client::Client;
use crate::telemetry::chain;

/// Starts the thread, which sends a heartbeat every `interval` until `stop` is cancelled. `client` must be used by
/// nobody else: its connections live on this thread's runtime.
pub(super) fn spawn(
    client: Client,
    interval: Duration,
    stop: CancellationToken,
) -> io::Result<thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("heartbeat".to_owned()).spawn(move || {
        runtime.block_on(stop.run_until_cancelled(beat(&client, interval)));
    })
}

async fn beat(client: &Client, interval: Duration) {
    let mut reachable = true;
    loop {
        match client.heartbeat(None).await {
            Ok(_) if !reachable => {
                reachable = true;
                tracing::info!("the server is back");
            }
            Err(error) if reachable => {
                reachable = false;
                tracing::warn!("the server cannot be reached, trying on: {}", chain(&error));
            }
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep(interval).await;
    }
}
