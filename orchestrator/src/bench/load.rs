//! Decides when the next job begins: as soon as a worker is free (closed loop), or at its time on a schedule (open
//! loop).
//!
//! In the open loop, times count from the scheduled start, not from when a worker was free: a server that stalls
//! delays the jobs that come after, too, and that is what their users would see.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rivet_events::id::JobId;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::fixture::Fixture;
use super::options::BenchOptions;
use super::recorder::Recorder;
use super::worker::{Requests, Worker};

/// How late a timer may wake a worker: a millisecond of the timer's own resolution, and one turn of the event loop.
/// That much lateness is not counted as the server's.
const TIMER_SLACK: Duration = Duration::from_millis(2);

/// All workers.
#[derive(Debug)]
pub(super) struct Load {
    rate: Option<f64>,
    lifecycles: Option<u64>,
    recorder: Rc<Recorder>,
    workers: Vec<Worker>,
    running: JoinSet<()>,
}

impl Load {
    /// Workers that have not begun. Each sends the jobs that it claims to `job_under_way`.
    pub(super) fn new(
        options: &Rc<BenchOptions>,
        fixture: &Fixture,
        recorder: &Rc<Recorder>,
        job_under_way: &watch::Sender<Option<JobId>>,
    ) -> Self {
        let requests = Rc::new(Requests::new(options, fixture));
        let workers = fixture
            .workers()
            .map(|runner| Worker::new(options, fixture, &requests, &runner, recorder, job_under_way));
        Self {
            rate: options.rate,
            lifecycles: options.lifecycles,
            recorder: Rc::clone(recorder),
            workers: workers.collect(),
            running: JoinSet::new(),
        }
    }

    /// Starts the workers, which run until there are no more arrivals.
    pub(super) fn start(&mut self, stop: &CancellationToken) -> Rc<Arrivals> {
        let arrivals =
            Rc::new(Arrivals::new(self.rate, self.lifecycles, Rc::clone(&self.recorder), stop.child_token()));
        for worker in self.workers.drain(..) {
            self.running.spawn_local(worker.run(Rc::clone(&arrivals)));
        }
        arrivals
    }

    /// Waits until all workers have ended.
    pub(super) async fn join(&mut self) {
        while self.running.join_next().await.is_some() {}
    }
}

/// The jobs to come. Workers take them one by one.
#[derive(Debug)]
pub(super) struct Arrivals {
    began: Instant,
    /// Time between two jobs in the open loop; `None` in the closed loop.
    interval: Option<Duration>,
    /// How many there are in all, if that is given.
    limit: Option<u64>,
    taken: Cell<u64>,
    counted: Cell<u64>,
    late: Cell<u64>,
    backlog: Cell<u64>,
    recorder: Rc<Recorder>,
    closed: CancellationToken,
}

/// A job that is to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Its number among those of all workers, from 0.
    pub(super) number: u64,
    /// When its time begins to count.
    pub(super) began: Instant,
}

/// How the open loop went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Punctuality {
    /// Jobs that began during the measurement.
    pub(super) arrivals: u64,
    /// Of these, those that found every worker busy.
    pub(super) late: u64,
    /// Jobs that should have begun before the end, and had not.
    pub(super) backlog: u64,
}

impl Arrivals {
    fn new(rate: Option<f64>, limit: Option<u64>, recorder: Rc<Recorder>, closed: CancellationToken) -> Self {
        Self {
            began: Instant::now(),
            interval: rate.map(|rate| Duration::from_secs_f64(rate.recip())),
            limit,
            taken: Cell::default(),
            counted: Cell::default(),
            late: Cell::default(),
            backlog: Cell::default(),
            recorder,
            closed,
        }
    }

    /// Waits for the next one; `None` if there are no more.
    pub(super) async fn next(&self) -> Option<Arrival> {
        let number = self.taken.get();
        if self.closed.is_cancelled() || self.limit.is_some_and(|limit| number >= limit) {
            return None;
        }
        self.taken.set(number + 1);
        let Some(interval) = self.interval else { return Some(Arrival { number, began: Instant::now() }) };
        let due = self.began + interval.mul_f64(number_of(number));
        let is_late = due + TIMER_SLACK < Instant::now();
        if !is_late {
            self.closed.run_until_cancelled(tokio::time::sleep_until(due.into())).await?;
        }
        if self.recorder.counts() {
            self.counted.set(self.counted.get() + 1);
            self.late.set(self.late.get() + u64::from(is_late));
        }
        // A job that is not late began when the timer woke the worker; at most the slack is forgiven.
        let began = if is_late { due } else { Instant::now().clamp(due, due + TIMER_SLACK) };
        Some(Arrival { number, began })
    }

    /// Whether jobs begin by a schedule.
    pub(super) fn has_schedule(&self) -> bool {
        self.interval.is_some()
    }

    /// Ends the arrivals, and notes how many jobs of the schedule have not begun.
    pub(super) fn close(&self) {
        if let Some(interval) = self.interval
            && !self.closed.is_cancelled()
        {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of jobs")]
            let due = (self.began.elapsed().as_secs_f64() / interval.as_secs_f64()) as u64;
            let due = due.min(self.limit.unwrap_or(u64::MAX));
            self.backlog.set(due.saturating_sub(self.taken.get()));
        }
        self.closed.cancel();
    }

    /// How the open loop went.
    pub(super) fn punctuality(&self) -> Punctuality {
        Punctuality { arrivals: self.counted.get(), late: self.late.get(), backlog: self.backlog.get() }
    }

    /// Pauses after a failure, so that a server that refuses is not asked in a tight loop.
    pub(super) async fn rest(&self, rest: Duration) {
        self.closed.run_until_cancelled(tokio::time::sleep(rest)).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact for longer than anybody waits")]
fn number_of(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(rate: Option<f64>, limit: u64) -> Arrivals {
        let recorder = Rc::new(Recorder::new());
        recorder.begin();
        Arrivals::new(rate, Some(limit), recorder, CancellationToken::new())
    }

    #[tokio::test]
    async fn a_schedule_that_is_behind_counts_from_when_the_job_was_due() {
        let mut arrivals = arrivals(Some(100.0), 3);
        arrivals.began = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        for number in 0..2 {
            let began = arrivals.began + Duration::from_millis(10) * number;
            assert_eq!(arrivals.next().await, Some(Arrival { number: number.into(), began }));
        }
        arrivals.close();
        let Punctuality { arrivals, late, backlog } = arrivals.punctuality();
        assert_eq!((arrivals, late, backlog), (2, 2, 1));
    }

    #[tokio::test]
    async fn a_schedule_that_is_kept_gives_one_after_the_other() {
        let arrivals = arrivals(Some(200.0), 3);
        for number in 0..3 {
            let due = arrivals.began + Duration::from_millis(5) * number;
            assert!(
                arrivals.next().await.is_some_and(|arrival| arrival.began >= due && Instant::now() >= due)
            );
        }
        assert_eq!(arrivals.next().await, None);
        arrivals.close();
        assert_eq!(arrivals.punctuality().backlog, 0);
    }

    #[tokio::test]
    async fn without_a_schedule_the_next_one_begins_at_once() {
        let arrivals = arrivals(None, 2);
        assert!(arrivals.next().await.is_some() && arrivals.next().await.is_some());
        assert_eq!(arrivals.next().await, None);
    }
}
