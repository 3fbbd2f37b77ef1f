//! Leadership, for background work that only one of the processes sharing a database should do.
//!
//! The leader is the process that holds the lease of the projector, and so keeps the read models up to date.
//! Two processes may briefly both believe to lead, so the work must be safe to do twice.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::read_models::ReadModels;

/// Tells when this process becomes the leader and when it no longer is, until it shuts down.
pub struct Leadership {
    leading: watch::Receiver<bool>,
    shutdown: CancellationToken,
}

impl Leadership {
    /// The leadership of the process that has opened `read_models`.
    #[must_use]
    pub fn new(read_models: &ReadModels, shutdown: CancellationToken) -> Self {
        Self { leading: read_models.leading(), shutdown }
    }

    /// Waits until this process leads. False once it shuts down: then it will not lead again.
    pub async fn wait_until_leading(&mut self) -> bool {
        let led = self.shutdown.run_until_cancelled(self.leading.wait_for(|leading| *leading)).await;
        led.is_some_and(|led| led.is_ok())
    }

    /// Runs `work`, and drops it when this process no longer leads or shuts down.
    pub async fn run_while_leading(&mut self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            () = self.until_over() => {}
        }
    }

    /// Waits until this process no longer leads or shuts down.
    async fn until_over(&mut self) {
        // That the channel is closed means that it no longer leads, too.
        let _ = self.shutdown.run_until_cancelled(self.leading.wait_for(|leading| !*leading)).await;
    }

    /// The result of `work`, whether this process leads or not; `None` if it shuts down first.
    pub(crate) async fn until_shutdown<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.shutdown.run_until_cancelled(work).await
    }
}
