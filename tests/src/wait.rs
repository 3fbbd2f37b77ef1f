//! The only way to wait for something: check again and again, until a deadline. And ways to let time pass.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::client::Client;

/// How long anything may take before a test fails. Generous: only a failing test waits this long.
const DEADLINE: Duration = Duration::from_mins(2);
/// Time between two checks.
const PAUSE: Duration = Duration::from_millis(10);
/// Time between two heartbeats.
const BEAT: Duration = Duration::from_millis(100);

/// The first value that `look` returns.
///
/// # Panics
/// With `what`, if there is none before the deadline.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} in vain for {what}");
        sleep(PAUSE).await;
    }
}

/// Repeats `act` for at least this long, to check that time alone changes nothing.
pub async fn throughout(duration: Duration, mut act: impl AsyncFnMut()) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        act().await;
        sleep(BEAT).await;
    }
}

/// Does `work` while a runner sends heartbeats.
pub async fn while_alive<T>(api: &Client, runner: &str, work: impl Future<Output = T>) -> T {
    let life = async {
        loop {
            api.heartbeat(runner).await;
            sleep(BEAT).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = life => unreachable!("it goes on for ever"),
    }
}
