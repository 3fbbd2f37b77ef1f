//! The one way to wait for something: look again and again, until a deadline. And the ways to let time pass.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::client::Client;

/// How long anything may take before a test gives up on it. Generous: only a failure ever waits this long.
const DEADLINE: Duration = Duration::from_mins(2);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(10);
/// Time between two signs of life.
const BEAT: Duration = Duration::from_millis(100);

/// The first value that `look` yields.
///
/// # Panics
/// With `what`, when there is none for too long.
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

/// Repeats `act` for at least this long: for what time alone must not change.
pub async fn throughout(duration: Duration, mut act: impl AsyncFnMut()) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        act().await;
        sleep(BEAT).await;
    }
}

/// Does `work` while a runner gives signs of life.
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
