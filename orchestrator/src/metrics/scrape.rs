//! Answers a scrape: reads the state of the queue, the runners, the read models and the process, and adds the metrics
//! that were counted.
//!
//! Every replica reads the same state of the queue and the runners, so a dashboard takes their maximum over the
//! replicas. Counters are each replica's own, so it takes their sum.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rivet_events::{Position, elapsed};
use rivet_projections::job_queue;
use rivet_projections::runners::{self, RunnerCounts, RunnerStatus};
use rivet_projections::status::Status;
use rivet_projections::webhooks::{self, WebhookStatus};
use rivet_projections::{QueryError, ReadModels};

use super::registry::Registry;
use super::{Metrics, process};
use crate::server::Connections;
use crate::telemetry::chain;

/// Longest wait for the database: well below the ten seconds after which Prometheus gives up a scrape.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(3);
/// Sets of demands that get a label of their own; the waiting jobs of all others count under [`OTHERS`].
const MAX_DEMANDS: usize = 20;
const OTHERS: &str = "(others)";

/// The state that is read from the database.
#[derive(Debug)]
struct State {
    /// Since when the job waits that has waited longest.
    oldest_queued_at: Option<DateTime<Utc>>,
    /// Number of waiting jobs by their demands, and of running jobs, which have `None`.
    by_demands: Vec<(Option<String>, u64)>,
    runners: RunnerCounts,
    webhooks: [(WebhookStatus, u64); 2],
    read_models: Vec<Status>,
}

/// All metrics as text. If the database does not answer in time, the state that it holds is left out, and only this
/// process's own metrics remain.
pub(crate) async fn scrape(
    metrics: &Metrics,
    read_models: &ReadModels,
    head: Position,
    waiting_claims: usize,
    connections: &Connections,
    now: DateTime<Utc>,
) -> String {
    let states = Registry::default();
    states
        .gauge(
            "rivet_waiting_claims",
            "Claims that wait in line in this process until there is a job for them.",
        )
        .set(signed(waiting_claims as u64));
    states.gauge("rivet_connections", "Connections that are served.").set(signed(connections.open() as u64));
    states
        .gauge("rivet_max_connections", "How many connections may be served at a time.")
        .set(signed(connections.limit() as u64));
    process::measure(&states, metrics.started_at);
    states
        .gauge("rivet_log_head_position", "The highest position of the log that this process knows of.")
        .set(signed(head.0));
    measure_projector(&states, read_models);
    let state = tokio::time::timeout(DATABASE_TIMEOUT, State::read(read_models, now)).await;
    let up = states.gauge("rivet_database_up", "Whether the database answered in time when this was read.");
    match state {
        Ok(Ok(state)) => {
            up.set(1);
            state.measure(&states, now);
        }
        Ok(Err(error)) => tracing::warn!(error = %chain(&error), "the state of things is not measured"),
        Err(_) => tracing::warn!("the state of things is not measured: the database takes too long"),
    }
    metrics.registry.text() + &states.text()
}

fn measure_projector(states: &Registry, read_models: &ReadModels) {
    let leading = *read_models.leading().borrow();
    states
        .gauge("rivet_leading", "1 where this process keeps the read models up to date.")
        .set(i64::from(leading));
    let work = read_models.projector_work();
    states
        .counter("rivet_projector_batches_total", "Batches that the projector of this process has written.")
        .inc_by(work.batches);
    states
        .counter("rivet_projector_events_total", "Events in the batches of this process's projector.")
        .inc_by(work.events);
    states
        .seconds_counter("rivet_projector_busy_seconds_total", "Time that these batches took.")
        .inc_by(work.busy.as_secs_f64());
}

impl State {
    async fn read(read_models: &ReadModels, now: DateTime<Utc>) -> Result<Self, QueryError> {
        Ok(Self {
            oldest_queued_at: job_queue::oldest_queued_at(read_models).await?,
            by_demands: job_queue::depth_by_demands(read_models).await?,
            runners: runners::counts(read_models).await?,
            webhooks: webhooks::counts(read_models).await?,
            read_models: read_models.status(now).await?,
        })
    }

    fn measure(&self, states: &Registry, now: DateTime<Utc>) {
        self.measure_queue(states, now);
        self.measure_runners(states);
        self.measure_webhooks(states);
        self.measure_read_models(states);
    }

    fn measure_queue(&self, states: &Registry, now: DateTime<Utc>) {
        let oldest = self.oldest_queued_at.map_or(0.0, |at| elapsed(at, now).as_secs_f64());
        states
            .seconds_gauge(
                "rivet_queue_oldest_wait_seconds",
                "How long the job has waited that waits longest.",
            )
            .set(oldest);
        let waiting = states.gauges(
            "rivet_queue_waiting_jobs",
            "Jobs that wait, by the capabilities that they demand, with commas between them.",
            &["demands"],
        );
        let running = states.gauge("rivet_running_jobs", "Jobs in the hands of runners.");
        // So that an empty queue shows a zero.
        waiting.with_label_values(&[""]).set(0);
        let mut lines = 0;
        for (demands, jobs) in &self.by_demands {
            match demands {
                None => running.set(signed(*jobs)),
                Some(demands) => {
                    lines += 1;
                    let label = if lines > MAX_DEMANDS { OTHERS } else { demands };
                    waiting.with_label_values(&[label]).add(signed(*jobs));
                }
            }
        }
    }

    fn measure_runners(&self, states: &Registry) {
        let runners = states.gauges("rivet_runners", "Registered runners, by their status.", &["status"]);
        let RunnerCounts { online, busy, offline } = self.runners;
        for (status, count) in
            [(RunnerStatus::Online, online), (RunnerStatus::Busy, busy), (RunnerStatus::Offline, offline)]
        {
            runners.with_label_values(&[status.as_str()]).set(signed(count));
        }
    }

    fn measure_webhooks(&self, states: &Registry) {
        let webhooks = states.gauges("rivet_webhooks", "Webhooks, by their status.", &["status"]);
        for (status, count) in self.webhooks {
            webhooks.with_label_values(&[status.as_str()]).set(signed(count));
        }
    }

    fn measure_read_models(&self, states: &Registry) {
        let labels = ["projection", "state"];
        let position = states.gauges(
            "rivet_projection_position",
            "Every event up to this position of the log is in the read model.",
            &labels,
        );
        let lag_events =
            states.gauges("rivet_projection_lag_events", "Events that are not in it yet.", &labels);
        let lag_seconds =
            states.seconds_gauges("rivet_projection_lag_seconds", "Age of the oldest of them.", &labels);
        let parked =
            states.gauges("rivet_projection_parked_streams", "Streams that it has given up.", &labels);
        for status in &self.read_models {
            let labels = [status.name, status.state];
            position.with_label_values(&labels).set(signed(status.position.0));
            lag_events.with_label_values(&labels).set(signed(status.lag_events));
            lag_seconds.with_label_values(&labels).set(status.lag_seconds);
            parked.with_label_values(&labels).set(signed(status.parked));
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_of_many_demands_has_a_bounded_number_of_lines() {
        let by_demands = (1..=100).rev().map(|n| (Some(format!("c{n}")), n)).chain([(None, 7)]).collect();
        let state = State {
            oldest_queued_at: None,
            by_demands,
            runners: RunnerCounts::default(),
            webhooks: [(WebhookStatus::Active, 0), (WebhookStatus::Paused, 0)],
            read_models: vec![],
        };
        let states = Registry::default();
        state.measure(&states, DateTime::UNIX_EPOCH);
        let text = states.text();
        let lines: Vec<&str> =
            text.lines().filter(|line| line.starts_with("rivet_queue_waiting_jobs{")).collect();
        assert_eq!(lines.len(), MAX_DEMANDS + 2);
        let jobs = lines.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
        assert_eq!(jobs.sum::<u64>(), 5050);
        assert!(text.contains("rivet_running_jobs 7\n"), "{text}");
    }
}
