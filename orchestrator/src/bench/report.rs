//! The report of a run, as one document: programs get it as JSON, and people as a table made of it.

mod compile;

use std::collections::BTreeMap;

use serde::Serialize;

pub(super) use self::compile::{Outcome, compile};
use super::options::Dialect;

/// The report of a run. Times are in milliseconds, rates are per second; figures are those of the measurement.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// What was asked for.
    pub plan: Plan,
    /// How long the measurement took.
    pub seconds: f64,
    /// Whether the load was ended early.
    pub interrupted: bool,
    /// Lives of jobs.
    pub lifecycles: Lifecycles,
    /// Requests that were answered with success: those of jobs and polls.
    pub requests: Rate,
    /// Text of logs that the server took, in bytes.
    pub log_text_bytes: Rate,
    /// How long each operation took, in the order of a job's life.
    pub operations: Vec<OperationFigures>,
    /// How many errors there were of each kind, warm-up included.
    pub errors: BTreeMap<String, u64>,
    /// Answers that did not show what had been acknowledged, warm-up included.
    pub stale_reads: u64,
    /// Connections that were opened again.
    pub reconnects: u64,
    /// How the schedule was kept, where there was one.
    pub schedule: Option<Schedule>,
    /// How far the read models were behind the log.
    pub projection_lag: ProjectionLag,
    /// Followers of streams, where there were any.
    pub followers: Option<Followers>,
    /// Processor time of this program.
    pub own_cpu: Cpu,
    /// Processor time and memory of the server, where its process was named.
    pub server: Option<Server>,
    /// What could not be deleted from the server, and why.
    pub left_behind: Vec<String>,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Plan {
    pub server: String,
    pub dialect: Dialect,
    pub workers: u32,
    pub rate: Option<f64>,
    pub log_batches: u32,
    pub log_entries: u32,
    pub entry_bytes: u32,
    pub pollers: u32,
    pub followers: u32,
}

/// Lives of jobs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Lifecycles {
    /// Those that succeeded.
    pub completed: u64,
    /// Those that did not come to their end, warm-up included.
    pub failed: u64,
    /// Completed ones in a second.
    pub per_second: f64,
}

/// A count, and how many that is in a second.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Rate {
    /// The count.
    pub total: u64,
    /// In a second.
    pub per_second: f64,
}

/// The times of an operation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OperationFigures {
    /// Its name.
    pub operation: &'static str,
    /// Its times.
    #[serde(flatten)]
    pub figures: Figures,
}

/// How values are distributed; times are in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    pub count: u64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

/// How a schedule was kept.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Schedule {
    /// Jobs a second that were asked for.
    pub rate: f64,
    /// Jobs that began.
    pub arrivals: u64,
    /// Of these, those that began late, since every worker was busy when their time came.
    pub late: u64,
    /// Jobs whose time had come, but that had not begun at the end.
    pub backlog: u64,
    /// Whether the server kept up: no backlog, and at most one in a hundred was late.
    pub kept: bool,
}

/// The lag of the live read model that is furthest behind, sampled every 100 ms.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ProjectionLag {
    /// The lag in events.
    pub events: Figures,
    /// The age of the oldest of these events, in milliseconds.
    pub age_ms: Figures,
}

/// Followers of streams.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Followers {
    /// Followers of the feed of all events.
    pub events: FollowerFigures,
    /// Followers of logs of running jobs.
    pub logs: FollowerFigures,
    /// Those that did not have everything [`CATCH_UP_TIMEOUT`](super::CATCH_UP_TIMEOUT) after the load.
    pub behind: u64,
}

/// What followers of one kind got, warm-up included.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FollowerFigures {
    /// How many there were.
    pub clients: u32,
    /// Streams that they opened.
    pub streams: u64,
    /// Events or log entries that they received.
    pub received: u64,
    /// Events or log entries that a stream left out.
    pub missed: u64,
    /// Time from the recording of an event to its arrival; of the feed only.
    pub delivery_ms: Option<Figures>,
}

/// Processor time of this program.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cpu {
    /// Share of one core; 1 is all of it.
    pub cores: f64,
    /// Processor time of a request, in microseconds.
    pub per_request_us: f64,
}

/// Processor time and memory of the server.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Server {
    /// Processor time as a number of cores.
    pub cores: f64,
    /// Processor time of a job's life, in milliseconds.
    pub per_lifecycle_ms: f64,
    /// Memory in use at the end, in bytes.
    pub rss_bytes: u64,
}

impl Report {
    /// Whether nothing went wrong.
    #[must_use]
    pub(crate) fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.stale_reads == 0 && self.missed() == 0
    }

    /// Events and log entries that followers did not get, and followers that did not catch up.
    #[must_use]
    pub(crate) fn missed(&self) -> u64 {
        self.followers.as_ref().map_or(0, |of| of.events.missed + of.logs.missed + of.behind)
    }

    /// The times of an operation; `None` where it never succeeded.
    #[must_use]
    pub(crate) fn operation(&self, name: &str) -> Option<&Figures> {
        self.operations.iter().find(|of| of.operation == name).map(|of| &of.figures)
    }
}
