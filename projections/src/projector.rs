//! The catch-up loop: read the batch after what is folded, fold it, and let readers know; store rows and checkpoint
//! together, when somebody waits for what only the database can tell, and else after a while.
//!
//! Read models at the same position go forward together, fed by one read. One that stands elsewhere catches up by
//! itself, and joins. Nothing stops the loop: an event that cannot be applied parks its stream, and a database that
//! does not answer is asked again.

mod steps;
mod storing;

use std::time::Duration;

use rivet_events::log::StoreError;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::steps::{Projector, Remaining};
use crate::lease::Lease;
use crate::read_models::ReadModels;

const FIRST_RETRY: Duration = Duration::from_millis(50);
/// Short: after the database comes back, readers wait for this.
const LAST_RETRY: Duration = Duration::from_secs(1);
/// How long a step may take over a network, where a connection may never bring an answer. Longer than any that goes on.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

impl ReadModels {
    /// Keeps the read models up to date until `shutdown`; of several processes over one database, one does so and
    /// the others follow. Also rebuilds what an older build has left.
    pub async fn run(&self, shutdown: CancellationToken) {
        let lease = Lease::new(self);
        tokio::join!(
            lease.keep(&shutdown),
            self.project(self.leading(), &shutdown),
            self.renew(self.leading(), &shutdown),
        );
    }

    async fn project(&self, mut held: watch::Receiver<bool>, shutdown: &CancellationToken) {
        let mut projector = Projector::new(self);
        let limit = if self.inner.store.is_shared() { STEP_TIMEOUT } else { Duration::MAX };
        let (mut retry, mut stored) = (FIRST_RETRY, self.position());
        while !shutdown.is_cancelled() {
            let owner = *held.borrow_and_update();
            let step = async { if owner { projector.step().await } else { projector.follow().await } };
            let pause = match timeout(limit, step).await.map_err(StoreError::from).flatten() {
                Ok(remaining) => {
                    // A step that begins to store goes well also where storing fails.
                    if projector.is_quiet() || self.position() != stored {
                        (retry, stored) = (FIRST_RETRY, self.position());
                    }
                    let Remaining::Idle(pause) = remaining else { continue };
                    pause
                }
                Err(error) => {
                    tracing::warn!(error = &*error, "the projector cannot go on: it will try again");
                    projector.forget().await;
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
                        // The log is gone, and so is this process, soon.
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
