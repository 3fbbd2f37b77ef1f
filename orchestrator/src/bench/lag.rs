//! Samples how far the read models are behind the log while the load goes on.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Deserialize;
use tokio::time::MissedTickBehavior;

use super::http::{Connection, Target};
use super::recorder::{Times, add, times};
use super::request::{Fill, Request};

/// Time between two samples.
const INTERVAL: Duration = Duration::from_millis(100);

/// All samples. Each is the lag of the live read model that is furthest behind.
#[derive(Debug)]
pub(super) struct Lag {
    /// The lag in events.
    pub(super) events: RefCell<Histogram<u64>>,
    /// The age of the oldest of these events.
    pub(super) age: RefCell<Times>,
}

#[derive(Debug, Deserialize)]
struct Status<'a> {
    state: &'a str,
    lag_events: u64,
    lag_seconds: f64,
}

impl Lag {
    /// No samples yet.
    pub(super) fn new() -> Self {
        let events = Histogram::new(3).expect("invariant: three digits are possible");
        Self { events: RefCell::new(events), age: RefCell::new(times()) }
    }

    /// Takes samples until the future is dropped. A request that fails gives no sample; it is not counted as an
    /// error, since the load meets the same failure.
    pub(super) async fn sample(self: Rc<Self>, target: Rc<Target>) {
        let mut connection = Connection::new(&target);
        let request = Request::new(&target, "GET", "/api/projections");
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            interval.tick().await;
            if let Ok(answer) = connection.exchange(&request, Fill::default()).await
                && let Ok(statuses) = answer.json::<Vec<Status<'_>>>()
            {
                self.note(&statuses);
            }
        }
    }

    fn note(&self, statuses: &[Status<'_>]) {
        let live = || statuses.iter().filter(|status| status.state == "live");
        let events = live().map(|status| status.lag_events).max().unwrap_or(0);
        let seconds = live().map(|status| status.lag_seconds).fold(0.0, f64::max);
        self.events.borrow_mut().saturating_record(events);
        add(&mut self.age.borrow_mut(), Duration::try_from_secs_f64(seconds).unwrap_or_default());
    }
}
