//! What only one of the processes that share a database has to do: the one that keeps the read models up to date.

use rivet_projections::ReadModels;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The times in which this process is the leading one, until it shuts down.
pub(crate) struct Terms {
    leading: watch::Receiver<bool>,
    shutdown: CancellationToken,
}

impl Terms {
    /// Those of the process that has opened these read models.
    pub(crate) fn new(read_models: &ReadModels, shutdown: CancellationToken) -> Self {
        Self { leading: read_models.leading(), shutdown }
    }

    /// Waits for the next term. False where there is none any more.
    pub(crate) async fn begin(&mut self) -> bool {
        let led = self.shutdown.run_until_cancelled(self.leading.wait_for(|leading| *leading)).await;
        led.is_some_and(|led| led.is_ok())
    }

    /// Works until the term ends, or the work does.
    pub(crate) async fn during(&mut self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            _ = self.leading.wait_for(|leading| !*leading) => {}
            () = self.shutdown.cancelled() => {}
        }
    }
}
