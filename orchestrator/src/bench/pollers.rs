//! Idle runners: each polls for jobs at an interval, on a connection of its own, and claims none.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::fixture::Fixture;
use super::http::Connection;
use super::options::BenchOptions;
use super::recorder::{Operation, Recorder};
use super::request::{Fill, Request};

/// Starts them. They poll until `end` is cancelled, and their polls are spread evenly over the interval.
pub(super) fn start(
    options: &BenchOptions,
    fixture: &Fixture,
    recorder: &Rc<Recorder>,
    end: &CancellationToken,
    tasks: &mut JoinSet<()>,
) {
    for (number, runner) in (0..).zip(fixture.pollers()) {
        let path = format!("/api/jobs/scheduled?runner_id={runner}");
        let poller = Poller {
            connection: Connection::new(&fixture.target),
            request: Request::new(&fixture.target, "GET", &path),
            recorder: Rc::clone(recorder),
        };
        let first = options.poll_interval * number / options.pollers;
        let (interval, end) = (options.poll_interval, end.clone());
        tasks.spawn_local(poller.run(first, interval, end));
    }
}

struct Poller {
    connection: Connection,
    request: Request,
    recorder: Rc<Recorder>,
}

impl Poller {
    async fn run(mut self, first: Duration, interval: Duration, end: CancellationToken) {
        let mut interval = tokio::time::interval_at((Instant::now() + first).into(), interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while end.run_until_cancelled(interval.tick()).await.is_some() {
            let began = Instant::now();
            match self.connection.exchange(&self.request, Fill::default()).await {
                Ok(_) => self.recorder.took(Operation::Poll, began.elapsed()),
                Err(failure) => self.recorder.failed(Operation::Poll.as_str(), &failure),
            }
        }
        self.recorder.reconnected(self.connection.reconnects());
    }
}
