//! Follows the appends of other processes, and notifies them of ours.
//!
//! A NOTIFY is only a hint. It is sent after the commit, on another connection, and at most every 25 ms, since a
//! NOTIFY inside the append would serialise all commits of the server. A poll finds the appends for which no hint
//! arrives.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use crate::envelope::Position;
use crate::log::StoreError;
use crate::log::keeper::Keeper;
use crate::log::postgres::PostgresKeeper;
use crate::log::writer::raise;

const CHANNEL: &str = "rivet_events";
/// The shortest time between two hints of one process.
const HINT_INTERVAL: Duration = Duration::from_millis(25);
/// How long the server may take to answer; after that, a new connection is opened. A server that is gone without a
/// word never answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest pause before listening again after a failure: meanwhile, this process sees no appends of the others.
const RETRY: Duration = Duration::from_secs(1);
/// Sends a hint. Its commit need not wait for the disk, as a hint that a crash of the server takes is no loss.
const HINT: &str = "select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";

pub(super) struct Follower {
    pub(super) keeper: Arc<PostgresKeeper>,
    /// The last position of this process.
    pub(super) committed: watch::Receiver<Position>,
    /// The last position of any process.
    pub(super) head: Arc<watch::Sender<Position>>,
    pub(super) poll_interval: Duration,
}

impl Follower {
    /// Runs for ever, through any failure of the database.
    pub(super) async fn run(mut self) {
        loop {
            if let Err(error) = self.follow().await {
                tracing::debug!(error, "following other processes was interrupted");
            }
            sleep(self.poll_interval.min(RETRY)).await;
        }
    }

    async fn follow(&mut self) -> Result<(), StoreError> {
        let mut listener = answered(PgListener::connect_with(&self.keeper.database.pool)).await?;
        answered(listener.listen(CHANNEL)).await?;
        let mut poll = interval(self.poll_interval);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut hint_due = Instant::now();
        loop {
            tokio::select! {
                hint = listener.recv() => {
                    let position = hint?.payload().parse().map(Position);
                    if position.is_ok_and(|position| position > *self.head.borrow()) {
                        self.look().await?;
                    }
                }
                _ = poll.tick() => self.look().await?,
                changed = due_change(&mut self.committed, hint_due) => {
                    let position = changed?;
                    let hint = sqlx::query(HINT).bind(CHANNEL).bind(position.to_string());
                    answered(hint.execute(&mut listener)).await?;
                    hint_due = Instant::now() + HINT_INTERVAL;
                }
            }
        }
    }
}

impl Follower {
    /// Raises the head, unless the last event is one of this process: the writer publishes that itself, once the events
    /// can be read from memory. The position of a hint is not believed, as a failover may have lost its event.
    async fn look(&self) -> Result<(), StoreError> {
        let position = answered(self.keeper.head()).await?;
        if position > *self.committed.borrow() {
            raise(&self.head, position);
        }
        Ok(())
    }
}

async fn answered<T, E: Into<StoreError>>(
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, StoreError> {
    timeout(ANSWER_TIMEOUT, answer).await?.map_err(Into::into)
}

/// Waits for the next position to notify the others of, at least until `due`. The change is only marked as seen when
/// it is returned, so cancelling this loses nothing.
async fn due_change(
    committed: &mut watch::Receiver<Position>,
    due: Instant,
) -> Result<Position, watch::error::RecvError> {
    sleep_until(due).await;
    committed.changed().await?;
    Ok(*committed.borrow_and_update())
}
