//! Makes the report from what a run has brought.

use std::rc::Rc;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{
    Cpu, Figures, FollowerFigures, Followers, Lifecycles, OperationFigures, Plan, ProjectionLag, Rate,
    Report, Schedule, Server,
};
use crate::bench::followers::{Followed, Tally};
use crate::bench::load::Arrivals;
use crate::bench::recorder::{Operation, Times};
use crate::bench::{Bench, Measured};

/// What a run has brought, beside the figures of its recorder.
pub(in crate::bench) struct Outcome {
    pub arrivals: Rc<Arrivals>,
    pub measured: Measured,
    pub followed: Followed,
    /// What could not be deleted from the server, and why.
    pub left_behind: Vec<String>,
}

/// Makes the report of a run.
pub(in crate::bench) fn compile(Bench { options, recorder, .. }: &Bench, outcome: Outcome) -> Report {
    let Outcome { arrivals, measured, followed, left_behind } = outcome;
    let Measured { elapsed, interrupted, own, server, lag } = measured;
    let totals = recorder.totals();
    let completed = recorder.count(Operation::Lifecycle);
    let requests = Operation::ALL.iter().filter(|operation| **operation != Operation::Lifecycle);
    let requests: u64 = requests.map(|operation| recorder.count(*operation)).sum();
    let operations = Operation::ALL.into_iter().filter_map(|operation| {
        let times = recorder.times(operation);
        let figures = (!times.is_empty()).then(|| milliseconds(&times))?;
        Some(OperationFigures { operation: operation.as_str(), figures })
    });
    Report {
        plan: Plan {
            server: options.server.to_string(),
            dialect: options.dialect,
            workers: options.workers,
            rate: options.rate,
            log_batches: options.log_batches,
            log_entries: options.log_entries,
            entry_bytes: options.entry_bytes,
            pollers: options.pollers,
            followers: options.followers,
        },
        seconds: elapsed.as_secs_f64(),
        interrupted,
        lifecycles: Lifecycles {
            completed,
            failed: totals.failed_lifecycles,
            per_second: Rate::of(completed, elapsed).per_second,
        },
        requests: Rate::of(requests, elapsed),
        log_text_bytes: Rate::of(totals.text_bytes, elapsed),
        operations: operations.collect(),
        errors: recorder.errors(),
        stale_reads: totals.stale_reads,
        reconnects: totals.reconnects,
        schedule: options.rate.map(|rate| Schedule::of(rate, &arrivals)),
        projection_lag: ProjectionLag {
            events: figures(&lag.events.borrow(), 1.0),
            age_ms: milliseconds(&lag.age.borrow()),
        },
        followers: (options.followers > 0).then(|| Followers {
            events: FollowerFigures::of(&followed.feed),
            logs: FollowerFigures::of(&followed.logs),
            behind: followed.behind,
        }),
        own_cpu: Cpu {
            cores: own.cpu.div_duration_f64(elapsed),
            per_request_us: share(own.cpu.as_secs_f64() * 1e6, requests),
        },
        server: server.map(|server| Server {
            cores: server.cpu.div_duration_f64(elapsed),
            per_lifecycle_ms: share(server.cpu.as_secs_f64() * 1e3, completed),
            rss_bytes: server.rss_bytes,
        }),
        left_behind,
    }
}

impl Rate {
    fn of(total: u64, elapsed: Duration) -> Self {
        Self { total, per_second: number(total) / elapsed.as_secs_f64() }
    }
}

impl Schedule {
    fn of(rate: f64, arrivals: &Arrivals) -> Self {
        let punctuality = arrivals.punctuality();
        Self {
            rate,
            arrivals: punctuality.arrivals,
            late: punctuality.late,
            backlog: punctuality.backlog,
            kept: punctuality.backlog == 0 && punctuality.late * 100 <= punctuality.arrivals,
        }
    }
}

impl FollowerFigures {
    fn of(tally: &Tally) -> Self {
        let delivery = tally.delivery.borrow();
        Self {
            clients: tally.clients,
            streams: tally.streams.get(),
            received: tally.received.get(),
            missed: tally.missed.get(),
            delivery_ms: (!delivery.is_empty()).then(|| milliseconds(&delivery)),
        }
    }
}

fn milliseconds(times: &Times) -> Figures {
    figures(times, 1e3)
}

fn figures(values: &Histogram<u64>, unit: f64) -> Figures {
    let at = |quantile: f64| number(values.value_at_quantile(quantile)) / unit;
    Figures {
        count: values.len(),
        p50: at(0.50),
        p95: at(0.95),
        p99: at(0.99),
        max: number(values.max()) / unit,
    }
}

/// `all` divided by `count`; 0 where `count` is 0.
fn share(all: f64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { all / number(count) }
}

#[expect(clippy::cast_precision_loss, reason = "figures for reading")]
fn number(count: u64) -> f64 {
    count as f64
}
