//! The one way to wait for something: look again and again, until a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long anything may take before a test gives up on it. Generous: only a failure ever waits this long.
const DEADLINE: Duration = Duration::from_secs(30);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// The first value that `look` yields.
///
/// # Panics
/// With `what`, when there is none after 30 s.
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
