//! The projector: the loop that keeps the read models up to date. It reads the next batch of events, folds it, and
//! publishes the rows in memory. It stores rows and checkpoints together: at once if somebody waits for a query that
//! only the database can answer, and otherwise after a short while.
//!
//! Read models at the same position advance together, from one read of the log. One at another position catches up by
//! itself, and joins them. Nothing stops the loop: an event that cannot be applied parks its stream, and if the
//! database does not answer, the loop tries again.

mod completed;
mod steps;
mod storing;

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::steps::{Projector, Remaining};
use crate::lease::Lease;
use crate::read_models::ReadModels;

const FIRST_RETRY: Duration = Duration::from_millis(50);
/// Longest pause between two tries. It is short, since readers wait for it after the database comes back.
const LAST_RETRY: Duration = Duration::from_secs(1);

impl ReadModels {
    /// Keeps the read models up to date until `shutdown`. Of several processes over one database, the leading one
    /// does this, and the others follow. It also rebuilds read models that another build has left.
    pub async fn run(&self, shutdown: CancellationToken) {
        let lease = Lease::new(self);
        tokio::join!(
            lease.keep(&shutdown),
            self.project(self.leading(), &shutdown),
            self.keep_rebuilt(shutdown.clone()),
        );
    }

    async fn project(&self, mut held: watch::Receiver<bool>, shutdown: &CancellationToken) {
        let mut projector = Projector::new(self);
        let (mut retry, mut stored) = (FIRST_RETRY, self.position());
        while !shutdown.is_cancelled() {
            let owner = *held.borrow_and_update();
            let step = async { if owner { projector.step().await } else { projector.follow().await } };
            let pause = match self.inner.store.limited(step).await {
                Ok(remaining) => {
                    // A step that only begins to store succeeds even if storing fails, so it must not reset the
                    // pause.
                    if projector.is_quiet() || self.position() != stored {
                        (retry, stored) = (FIRST_RETRY, self.position());
                    }
                    let Remaining::Idle(pause) = remaining else { continue };
                    pause
                }
                Err(error) => {
                    tracing::warn!(error = &*error, "the projector cannot go on: it will try again");
                    projector.reset().await;
                    tokio::select! {
                        () = tokio::time::sleep(retry) => {}
                        () = shutdown.cancelled() => {}
                    }
                    retry = LAST_RETRY.min(retry * 2);
                    continue;
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = projector.head.changed(), if owner && !projector.is_full() => {
                    if changed.is_err() {
                        // The log was closed: the process is about to end.
                        shutdown.cancelled().await;
                    }
                }
                () = projector.storing.end() => {}
                () = self.inner.wanted.notified() => {}
                _ = held.changed(), if self.inner.store.is_shared() => {}
                () = shutdown.cancelled() => {}
            }
        }
        if let Err(error) = projector.store_all().await {
            tracing::warn!(error = &*error, "what was folded last is folded again after the next start");
        }
    }
}
