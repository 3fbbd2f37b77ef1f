//! Metrics of jobs: how long they wait and run, and how they end.

use chrono::{DateTime, Utc};
use prometheus::{Histogram, IntCounter, IntCounterVec};
use rivet_events::elapsed;
use rivet_events::job::JobStatus;

use super::registry::Registry;
use crate::domain::job::JobState;

/// Buckets for waiting times, in seconds.
const WAITS: [f64; 13] =
    [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0];
/// Buckets for running times, in seconds.
const RUNS: [f64; 13] =
    [1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0];

/// Metrics of jobs. The process that appended a change counts it.
#[derive(Debug)]
pub(crate) struct JobMetrics {
    wait: Histogram,
    run: Histogram,
    ended: IntCounterVec,
    requeued: IntCounter,
}

impl JobMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let metrics = Self {
            wait: registry.histogram(
                "rivet_job_wait_seconds",
                "Time of a job from when it was queued, and due, to its claim.",
                &WAITS,
            ),
            run: registry.histogram(
                "rivet_job_run_seconds",
                "Time of an attempt from its claim to its end.",
                &RUNS,
            ),
            ended: registry.counters("rivet_jobs_ended_total", "Jobs that ended, by how.", &["status"]),
            requeued: registry.counter(
                "rivet_job_attempts_requeued_total",
                "Attempts that ended without ending their job: it waits for the next one.",
            ),
        };
        // Creates the counters, so that the metrics show zeros for what has not happened yet.
        for status in JobStatus::TERMINAL {
            metrics.ended(status);
        }
        metrics
    }

    fn ended(&self, status: JobStatus) -> IntCounter {
        self.ended.with_label_values(&[status.as_str()])
    }

    /// Counts what one append has changed.
    pub(crate) fn count(&self, before: &JobState, after: &JobState) {
        match (before, after) {
            (JobState::Queued(queued), JobState::Running(running)) => {
                self.wait.observe(seconds(queued.queued_at.max(queued.due_at), running.holder.claimed_at));
            }
            (JobState::Running(running), JobState::Ended(ended)) => {
                self.run.observe(seconds(running.holder.claimed_at, ended.ended_at));
                self.ended(ended.status).inc();
            }
            (JobState::Queued(_), JobState::Ended(ended)) => self.ended(ended.status).inc(),
            (JobState::Running(running), JobState::Queued(queued)) => {
                self.run.observe(seconds(running.holder.claimed_at, queued.queued_at));
                self.requeued.inc();
            }
            (JobState::Absent | JobState::Ended(_), _)
            | (JobState::Queued(_), JobState::Absent | JobState::Queued(_))
            | (JobState::Running(_), JobState::Absent | JobState::Running(_)) => {}
        }
    }
}

fn seconds(since: DateTime<Utc>, until: DateTime<Utc>) -> f64 {
    elapsed(since, until).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use rivet_events::id::{JobId, LeaseId, PipelineId};
    use rivet_events::job::{JobClaimed, JobCompleted, JobEvent};

    use super::*;
    use crate::domain::Decider;
    use crate::domain::job::fixture::plain_launch;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_job_counts_its_wait_its_run_and_its_end() {
        let (job_id, pipeline_id) = (JobId::generate(), PipelineId::generate());
        let runner_id: rivet_events::id::RunnerId = "r".parse().unwrap();
        let events = [
            JobEvent::Launched(plain_launch(job_id, pipeline_id, at(0))),
            JobEvent::Claimed(JobClaimed {
                job_id,
                pipeline_id,
                runner_id: runner_id.clone(),
                attempt: 1,
                lease_id: LeaseId::generate(),
                fencing: true,
                request_key: None,
                ready_at: None,
                claimed_at: at(4),
            }),
            JobEvent::Completed(JobCompleted {
                job_id,
                pipeline_id,
                runner_id,
                attempt: 1,
                status: JobStatus::Succeeded,
                result: None,
                reason: None,
                completed_at: at(104),
            }),
        ];
        let metrics = JobMetrics::new(&Registry::default());
        let mut before = JobState::default();
        for event in events {
            let after = before.clone().evolve(event);
            metrics.count(&before, &after);
            before = after;
        }
        assert_eq!((metrics.wait.get_sample_count(), metrics.wait.get_sample_sum()), (1, 4.0));
        assert_eq!((metrics.run.get_sample_count(), metrics.run.get_sample_sum()), (1, 100.0));
        assert_eq!(metrics.ended(JobStatus::Succeeded).get(), 1);
        assert_eq!(metrics.requeued.get(), 0);
    }
}
