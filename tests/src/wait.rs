//! The only way to wait for something: check again and again, until a deadline. And ways to let time pass.

use std::time::Duration;

use serde_json::Value;
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

/// What is at a path, once this member of it has this value.
pub async fn until_shown(api: &Client, path: &str, member: &str, value: &str) -> Value {
    eventually(&format!("{path} to show {value} as its {member}"), async || {
        let found = api.get(path).await.expect(200);
        (found[member] == value).then_some(found)
    })
    .await
}

/// A job, once it has this status.
pub async fn until_job_is(api: &Client, job: &str, status: &str) -> Value {
    until_shown(api, &format!("/api/jobs/{job}"), "status", status).await
}

/// A job, once it has ended.
pub async fn until_ended(api: &Client, job: &str) -> Value {
    until_shown(api, &format!("/api/jobs/{job}"), "phase", "ended").await
}

/// Waits until a metric without labels has this value.
pub async fn until_counted(api: &Client, metric: &str, value: usize) {
    let line = format!("{metric} {value}");
    eventually(&line, async || {
        api.get("/metrics").await.text.lines().any(|found| found == line).then_some(())
    })
    .await;
}

/// Lets time pass, for a test whose subject is that it passes: a lease that runs out, a grace that does not.
pub async fn let_pass(duration: Duration) {
    sleep(duration).await;
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
