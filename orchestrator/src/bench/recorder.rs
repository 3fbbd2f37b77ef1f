//! Gathers the figures of a run: how long each operation took, what went wrong, what was written.
//!
//! Figures count between [`Recorder::begin`] and [`Recorder::end`], which is the measurement; errors always count.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Progress;
use super::error::Failure;

/// The longest time that a histogram can hold, in microseconds: longer than any request may take.
const HIGHEST_MICROS: u64 = 600_000_000;
/// Significant digits that histograms keep.
const DIGITS: u8 = 3;

/// The operations whose times are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    /// The whole life of a job, from its launch until it has been read back.
    Lifecycle,
    /// Launch a job.
    Launch,
    /// Claim it.
    Claim,
    /// Report that it runs.
    Status,
    /// Append a batch to its log.
    AppendLogs,
    /// Report its end.
    Complete,
    /// Read it right after that: the answer waits for the read model.
    ReadBack,
    /// Read it once more: there is nothing to wait for any more.
    ReadAgain,
    /// Read its whole log.
    ReadLogs,
    /// Poll for jobs as an idle runner.
    Poll,
}

impl Operation {
    /// All of them, in the order of a job's life.
    pub(super) const ALL: [Self; 10] = [
        Self::Lifecycle,
        Self::Launch,
        Self::Claim,
        Self::Status,
        Self::AppendLogs,
        Self::Complete,
        Self::ReadBack,
        Self::ReadAgain,
        Self::ReadLogs,
        Self::Poll,
    ];

    /// Its name in reports.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Lifecycle => "lifecycle",
            Self::Launch => "launch",
            Self::Claim => "claim",
            Self::Status => "status",
            Self::AppendLogs => "append_logs",
            Self::Complete => "complete",
            Self::ReadBack => "read_back",
            Self::ReadAgain => "read_again",
            Self::ReadLogs => "read_logs",
            Self::Poll => "poll",
        }
    }
}

/// A histogram of times, in microseconds.
pub(super) type Times = Histogram<u64>;

/// An empty histogram of times.
pub(super) fn times() -> Times {
    Histogram::new_with_max(HIGHEST_MICROS, DIGITS).expect("invariant: the bounds are in order")
}

/// Adds a time.
pub(super) fn add(times: &mut Times, time: Duration) {
    times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

/// The figures of a run. It is used by one thread, through shared references.
#[derive(Debug)]
pub(super) struct Recorder {
    began: Instant,
    phase: Cell<&'static str>,
    counts: Cell<bool>,
    operations: RefCell<[Times; Operation::ALL.len()]>,
    text_bytes: Cell<u64>,
    errors: RefCell<BTreeMap<String, u64>>,
    failed_lifecycles: Cell<u64>,
    stale_reads: Cell<u64>,
    reconnects: Cell<u64>,
    acknowledged: Cell<u64>,
}

impl Recorder {
    /// A recorder without figures.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            phase: Cell::new("preparing"),
            counts: Cell::new(false),
            operations: RefCell::new(std::array::from_fn(|_| times())),
            text_bytes: Cell::default(),
            errors: RefCell::default(),
            failed_lifecycles: Cell::default(),
            stale_reads: Cell::default(),
            reconnects: Cell::default(),
            acknowledged: Cell::default(),
        }
    }

    /// Begins the measurement: from now on figures count.
    pub(super) fn begin(&self) {
        self.enter("measuring");
        self.counts.set(true);
    }

    /// Ends the measurement.
    pub(super) fn end(&self) {
        self.counts.set(false);
    }

    /// Whether figures count.
    pub(super) fn counts(&self) -> bool {
        self.counts.get()
    }

    /// Sets the phase that the progress shows.
    pub(super) fn enter(&self, phase: &'static str) {
        self.phase.set(phase);
    }

    /// How far the run is.
    pub(super) fn progress(&self) -> Progress {
        Progress {
            phase: self.phase.get(),
            elapsed: self.began.elapsed(),
            lifecycles: self.count(Operation::Lifecycle),
            errors: self.errors.borrow().values().sum(),
        }
    }

    /// Records an operation that succeeded.
    pub(super) fn took(&self, operation: Operation, time: Duration) {
        if self.counts() {
            add(&mut self.operations.borrow_mut()[operation as usize], time);
        }
    }

    /// Records text of a log that the server has taken.
    pub(super) fn wrote(&self, text_bytes: u64) {
        if self.counts() {
            self.text_bytes.set(self.text_bytes.get() + text_bytes);
        }
    }

    /// Records the position of a command that the server has acknowledged.
    pub(super) fn acknowledge(&self, position: Option<u64>) {
        self.acknowledged.set(self.acknowledged.get().max(position.unwrap_or(0)));
    }

    /// The highest position of a command that the server has acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.get()
    }

    /// Records an error.
    pub(super) fn failed(&self, what: &str, failure: &Failure) {
        *self.errors.borrow_mut().entry(format!("{what}: {failure}")).or_default() += 1;
    }

    /// Records a job whose life did not come to its end.
    pub(super) fn lifecycle_failed(&self) {
        self.failed_lifecycles.set(self.failed_lifecycles.get() + 1);
    }

    /// Records an answer that does not show what the server had acknowledged.
    pub(super) fn stale(&self) {
        self.stale_reads.set(self.stale_reads.get() + 1);
    }

    /// Records connections that had to be opened again.
    pub(super) fn reconnected(&self, count: u64) {
        self.reconnects.set(self.reconnects.get() + count);
    }

    /// The times of an operation.
    pub(super) fn times(&self, operation: Operation) -> Times {
        self.operations.borrow()[operation as usize].clone()
    }

    /// How often an operation succeeded during the measurement.
    pub(super) fn count(&self, operation: Operation) -> u64 {
        self.operations.borrow()[operation as usize].len()
    }

    /// How many errors there were of each kind.
    pub(super) fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.borrow().clone()
    }

    /// The counts that are not times.
    pub(super) fn totals(&self) -> Totals {
        Totals {
            text_bytes: self.text_bytes.get(),
            failed_lifecycles: self.failed_lifecycles.get(),
            stale_reads: self.stale_reads.get(),
            reconnects: self.reconnects.get(),
        }
    }
}

/// The counts that are not times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Totals {
    /// Text of logs, in bytes.
    pub(super) text_bytes: u64,
    /// Jobs whose life did not come to its end.
    pub(super) failed_lifecycles: u64,
    /// Answers that did not show what had been acknowledged.
    pub(super) stale_reads: u64,
    /// Connections that were opened again.
    pub(super) reconnects: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_count_between_begin_and_end_and_errors_always() {
        let recorder = Recorder::new();
        let launch = || recorder.took(Operation::Launch, Duration::from_millis(2));
        launch();
        recorder.failed("launch", &Failure::TimedOut);
        recorder.begin();
        launch();
        recorder.wrote(10);
        recorder.end();
        launch();
        recorder.failed("launch", &Failure::TimedOut);
        assert_eq!(recorder.count(Operation::Launch), 1);
        assert_eq!(recorder.totals().text_bytes, 10);
        assert_eq!(recorder.errors(), BTreeMap::from([("launch: no answer in time".to_owned(), 2)]));
    }
}
