//! Separate timeouts for the head of a request and for the idle time between two requests.
//!
//! hyper has one timeout for both, which begins at the end of the last answer. A short one closes idle connections
//! (and now and then with them a request that is just being sent); a long one lets a slow head hold a connection. So
//! hyper gets the long idle timeout, and this [`Timer`] fires earlier once a head has begun to arrive.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The timer of one connection. Clones are the same timer.
#[derive(Clone)]
pub(super) struct HeadTimer {
    head_timeout: Duration,
    head: Arc<Mutex<Head>>,
    /// Cancelled once the client has sent something.
    has_spoken: CancellationToken,
}

/// What the connection is waiting for.
#[derive(Clone, Copy)]
enum Head {
    /// Just opened: its first head, which counts as begun at this time.
    Opened(Instant),
    /// Idle between two requests, or handling one.
    Idle,
    /// A head has begun to arrive at this time.
    Begun(Instant),
}

impl HeadTimer {
    pub(super) fn new(head_timeout: Duration) -> Self {
        let head = Arc::new(Mutex::new(Head::Opened(Instant::now())));
        Self { head_timeout, head, has_spoken: CancellationToken::new() }
    }

    /// Notes that these bytes were read from the connection; none at its end.
    pub(super) fn note(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.has_spoken.cancel();
        self.update(|head| match head {
            Head::Idle => Head::Begun(Instant::now()),
            Head::Opened(_) | Head::Begun(_) => head,
        });
    }

    /// Waits until the client has sent something.
    pub(super) async fn until_spoken(&self) {
        self.has_spoken.cancelled().await;
    }

    fn update(&self, change: impl FnOnce(Head) -> Head) -> Head {
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        *head = change(*head);
        *head
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until((Instant::now() + duration).into())
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        let head = self.update(|head| match head {
            Head::Opened(at) => Head::Begun(at),
            Head::Begun(_) | Head::Idle => Head::Idle,
        });
        let (deadline, cut_short) = match head {
            Head::Idle => (deadline.into(), false),
            Head::Opened(at) | Head::Begun(at) => (at + self.head_timeout, true),
        };
        Box::pin(HeadSleep {
            timer: self.clone(),
            cut_short,
            sleep: Box::pin(tokio::time::sleep_until(deadline)),
        })
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }
}

/// Ends when the idle timeout has passed, or the head has taken too long.
struct HeadSleep {
    timer: HeadTimer,
    cut_short: bool,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    /// hyper polls this after every read that left the head incomplete.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.cut_short
            && let Head::Begun(at) = self.timer.update(|head| head)
        {
            self.cut_short = true;
            let deadline = at + self.timer.head_timeout;
            self.sleep.as_mut().reset(deadline);
        }
        self.sleep.as_mut().poll(cx)
    }
}
