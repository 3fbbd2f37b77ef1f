//! The runner's heartbeat. It has its own thread and async runtime, so that a blocked task of the runner cannot delay
//! it, and busy cores delay it no longer than the operating system's scheduler does.

use std::io;
use std::thread;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::client::Client;
use crate::retry::Verdict;
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

/// Sends heartbeats, and logs when what becomes of them changes.
async fn beat(client: &Client, interval: Duration) {
    let mut before = None;
    loop {
        let problem = match client.heartbeat(None).await {
            Ok(reply) if reply.verdict() == Verdict::Accepted => None,
            Ok(reply) => Some(format!(
                "the server refuses heartbeats: {}; silent jobs will be lost",
                reply.explanation()
            )),
            Err(error) => Some(format!("the server cannot be reached, trying on: {}", chain(&error))),
        };
        if problem != before {
            if let Some(problem) = &problem {
                tracing::warn!("{problem}");
            } else {
                tracing::info!("the server takes heartbeats again");
            }
        }
        before = problem;
        tokio::time::sleep(interval).await;
    }
}
