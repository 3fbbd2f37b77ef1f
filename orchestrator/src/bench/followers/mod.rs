//! Clients that follow live streams beside the load: half of them the feed of all events, half the logs of running
//! jobs.
//!
//! The delivery time of an event is the time from its `recorded_at` to its arrival. This needs clocks that agree, as
//! on one machine. It is measured for the first event of each piece that arrives, which is the oldest.

mod feed;
mod logs;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use chrono::DateTime;
use rivet_events::id::JobId;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::http::Target;
use super::options::BenchOptions;
use super::recorder::{Recorder, Times, add, times};
use crate::clock::{Clock, SystemClock};

/// Streams that are opened at the same time, so that thousands are not opened in one instant.
const WAVE: usize = 200;
/// How long followers may take after the load to receive what is still on its way.
pub(crate) const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause between two checks whether they have.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// Pause before a stream that broke is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// All followers.
pub(super) struct Followers {
    feed: Rc<Tally>,
    logs: Rc<Tally>,
    /// The last position that each follower of the feed has seen.
    positions: Vec<Rc<Cell<u64>>>,
    job_under_way: watch::Sender<Option<JobId>>,
    tasks: JoinSet<()>,
}

/// What followers of one kind have seen.
#[derive(Debug)]
pub(super) struct Tally {
    /// How many there are.
    pub(super) clients: u32,
    /// Streams that were opened.
    pub(super) streams: Cell<u64>,
    /// Streams that are open, of those that have an end.
    under_way: Cell<u64>,
    /// Events or log entries that arrived.
    pub(super) received: Cell<u64>,
    /// Events or log entries that a stream left out.
    pub(super) missed: Cell<u64>,
    /// Times from the recording of an event to its arrival.
    pub(super) delivery: RefCell<Times>,
}

/// What the followers of a run have seen.
pub(super) struct Followed {
    /// Followers of the feed.
    pub(super) feed: Rc<Tally>,
    /// Followers of logs.
    pub(super) logs: Rc<Tally>,
    /// Followers that did not get everything within [`CATCH_UP_TIMEOUT`] after the load.
    pub(super) behind: u64,
}

/// What all followers share.
#[derive(Clone)]
struct Shared {
    target: Rc<Target>,
    recorder: Rc<Recorder>,
    turns: Rc<Semaphore>,
    end: CancellationToken,
}

impl Followers {
    /// Starts the followers. Returns when all those of the feed have opened their stream, at most [`WAVE`] at a time.
    pub(super) async fn connect(
        options: &BenchOptions,
        target: &Rc<Target>,
        recorder: &Rc<Recorder>,
        end: &CancellationToken,
    ) -> Self {
        let shared = Shared {
            target: Rc::clone(target),
            recorder: Rc::clone(recorder),
            turns: Rc::new(Semaphore::new(WAVE)),
            end: end.clone(),
        };
        let of_feed = options.followers.div_ceil(2);
        let of_logs = options.followers - of_feed;
        let mut followers = Self {
            feed: Rc::new(Tally::new(of_feed)),
            logs: Rc::new(Tally::new(of_logs)),
            positions: Vec::new(),
            job_under_way: watch::Sender::new(None),
            tasks: JoinSet::new(),
        };
        let mut connecting = JoinSet::new();
        for _ in 0..of_feed {
            let follower = feed::Follower::new(shared.clone(), Rc::clone(&followers.feed));
            followers.positions.push(follower.position());
            connecting.spawn_local(follower.connect());
        }
        while let Some(connected) = connecting.join_next().await {
            if let Ok(follower) = connected {
                followers.tasks.spawn_local(follower.follow());
            }
        }
        for _ in 0..of_logs {
            let follower = logs::Follower::new(shared.clone(), Rc::clone(&followers.logs), options);
            followers.tasks.spawn_local(follower.follow(followers.job_under_way.subscribe()));
        }
        followers
    }

    /// Where workers say which job has just begun.
    pub(super) fn job_under_way(&self) -> &watch::Sender<Option<JobId>> {
        &self.job_under_way
    }

    /// Waits until they have got everything up to a position, at most [`CATCH_UP_TIMEOUT`], and ends them.
    pub(super) async fn finish(mut self, position: u64) -> Followed {
        let deadline = Instant::now() + CATCH_UP_TIMEOUT;
        while self.behind(position) > 0 && Instant::now() < deadline {
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
        let behind = self.behind(position);
        self.tasks.shutdown().await;
        Followed { feed: self.feed, logs: self.logs, behind }
    }

    fn behind(&self, position: u64) -> u64 {
        let of_feed = self.positions.iter().filter(|at| at.get() < position).count() as u64;
        of_feed + self.logs.under_way.get()
    }
}

impl Tally {
    fn new(clients: u32) -> Self {
        Self {
            clients,
            streams: Cell::default(),
            under_way: Cell::default(),
            received: Cell::default(),
            missed: Cell::default(),
            delivery: RefCell::new(times()),
        }
    }

    fn delivered(&self, recorded_at: Option<&str>) {
        let recorded_at = recorded_at.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        if let Some(recorded_at) = recorded_at {
            let under_way = SystemClock.now() - recorded_at.to_utc();
            add(&mut self.delivery.borrow_mut(), under_way.to_std().unwrap_or_default());
        }
    }
}

fn increase(count: &Cell<u64>, by: u64) {
    count.set(count.get() + by);
}
