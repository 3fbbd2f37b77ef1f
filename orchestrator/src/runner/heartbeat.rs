//! The runner's sign of life, from a thread of its own, so that no amount of work on the machine's cores, and no
//! blocked task of the runner, keeps it waiting longer than the operating system does.

use std::io;
use std::thread;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::client::Client;
use crate::telemetry::chain;

/// Beats every `interval` until `stop`. The client must be this thread's own: its connections live on the
/// thread's runtime.
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
