//! What the tests of folds share: given these events, then that row.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rivet_events::id::{EventId, JobId, LeaseId, PipelineId, RunnerId};
use rivet_events::job::{
    ExpiryCause, JobCancelRequested, JobCancelled, JobClaimed, JobCompleted, JobEvent, JobLaunched,
    JobLeaseExpired, JobLeaseShown, JobPurged, JobReportRefused, JobRequeued, JobStarted, JobStatus,
    JobTimedOut, RequeueCause,
};
use rivet_events::{Envelope, Event, Metadata, Position, StreamId, Version};
use uuid::Uuid;

use crate::projection::Projection;
use crate::rows::memory::MemoryRows;

/// The time `seconds` after the start of a test.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).expect("a time") + TimeDelta::seconds(seconds)
}

/// One job with its pipeline and its runner. Makes the events of the job.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "they are the ids of three things")]
pub(crate) struct Scene {
    pub(crate) job_id: JobId,
    pub(crate) pipeline_id: PipelineId,
    pub(crate) runner_id: RunnerId,
}

impl Scene {
    pub(crate) fn new(n: u128) -> Self {
        Self {
            job_id: Uuid::from_u128(n).into(),
            pipeline_id: Uuid::from_u128(1000).into(),
            runner_id: "runner-1".parse().expect("a name"),
        }
    }

    pub(crate) fn lease(&self, attempt: u32) -> LeaseId {
        Uuid::from_u128(self.job_id.as_uuid().as_u128() * 100 + u128::from(attempt)).into()
    }

    pub(crate) fn launched(&self, seconds: i64) -> JobLaunched {
        JobLaunched {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            pipeline_version: 3,
            parameters: serde_json::Map::new(),
            demands: vec!["gpu".to_owned(), "docker".to_owned()],
            priority: 5,
            max_retries: 2,
            timeout_seconds: Some(60),
            retry_on_runner_lost: false,
            concurrency: None,
            retry_of: None,
            request_digest: None,
            requested_at: at(seconds),
        }
    }

    pub(crate) fn launch(&self, seconds: i64) -> Event {
        Event::Job(JobEvent::Launched(self.launched(seconds)))
    }

    pub(crate) fn claim(&self, attempt: u32, seconds: i64) -> Event {
        Event::Job(JobEvent::Claimed(JobClaimed {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            attempt,
            lease_id: self.lease(attempt),
            fencing: false,
            request_key: None,
            ready_at: None,
            claimed_at: at(seconds),
        }))
    }

    pub(crate) fn start(&self, attempt: u32, seconds: i64) -> Event {
        Event::Job(JobEvent::Started(JobStarted {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            attempt,
            fencing: true,
            started_at: at(seconds),
        }))
    }

    pub(crate) fn show_lease(&self, attempt: u32, seconds: i64) -> Event {
        Event::Job(JobEvent::LeaseShown(JobLeaseShown {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            attempt,
            shown_at: at(seconds),
        }))
    }

    pub(crate) fn expire(&self, attempt: u32, seconds: i64) -> Event {
        Event::Job(JobEvent::LeaseExpired(JobLeaseExpired {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            attempt,
            lease_id: self.lease(attempt),
            cause: ExpiryCause::Silent,
            expired_at: at(seconds),
        }))
    }

    pub(crate) fn requeue(&self, attempt: u32, seconds: i64, due: i64) -> Event {
        Event::Job(JobEvent::Requeued(JobRequeued {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            attempt,
            cause: RequeueCause::RunnerLost,
            result: None,
            needs_fencing: true,
            due_at: at(due),
            requeued_at: at(seconds),
        }))
    }

    pub(crate) fn ask_to_cancel(&self, force: bool, seconds: i64) -> Event {
        Event::Job(JobEvent::CancelRequested(JobCancelRequested {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            reason: None,
            force,
            requested_at: at(seconds),
        }))
    }

    pub(crate) fn refuse_report(&self, attempt: u32, status: JobStatus, seconds: i64) -> Event {
        Event::Job(JobEvent::ReportRefused(JobReportRefused {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            lease_id: self.lease(attempt),
            status,
            result: None,
            refused_at: at(seconds),
        }))
    }

    pub(crate) fn complete(&self, attempt: u32, status: JobStatus, seconds: i64) -> Event {
        Event::Job(JobEvent::Completed(JobCompleted {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: self.runner_id.clone(),
            attempt,
            status,
            result: None,
            reason: None,
            completed_at: at(seconds),
        }))
    }

    pub(crate) fn cancel(&self, attempt: u32, seconds: i64) -> Event {
        Event::Job(JobEvent::Cancelled(JobCancelled {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: (attempt > 0).then(|| self.runner_id.clone()),
            attempt,
            result: None,
            reason: Some("asked".to_owned()),
            cancelled_at: at(seconds),
        }))
    }

    pub(crate) fn purge(&self, status: JobStatus, seconds: i64) -> Event {
        Event::Job(JobEvent::Purged(JobPurged {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            status,
            purged_at: at(seconds),
        }))
    }

    pub(crate) fn time_out(&self, attempt: u32, seconds: i64) -> Event {
        Event::Job(JobEvent::TimedOut(JobTimedOut {
            job_id: self.job_id,
            pipeline_id: self.pipeline_id,
            runner_id: (attempt > 0).then(|| self.runner_id.clone()),
            attempt,
            result: None,
            reason: "run_timeout".to_owned(),
            timed_out_at: at(seconds),
        }))
    }
}

/// The events as a log: with positions from 1 on, each in the stream that it belongs to.
pub(crate) fn log_of(events: impl IntoIterator<Item = Event>) -> Vec<Arc<Envelope>> {
    let mut versions = std::collections::HashMap::new();
    (1..)
        .zip(events)
        .map(|(position, event)| {
            let stream = stream_of(&event);
            let version: &mut u64 = versions.entry(stream.clone()).or_default();
            *version += 1;
            Arc::new(envelope(position, stream, *version, event))
        })
        .collect()
}

/// An event with its place in the log.
pub(crate) fn envelope(position: u64, stream: StreamId, sequence: u64, event: Event) -> Envelope {
    Envelope {
        position: Position(position),
        event_id: EventId::from(Uuid::from_u128(position.into())),
        stream,
        sequence: Version(sequence),
        recorded_at: at(0),
        metadata: Metadata::default(),
        event,
    }
}

fn stream_of(event: &Event) -> StreamId {
    let value = serde_json::to_value(event).expect("an event is JSON");
    let id = |field: &str| value[field].as_str().expect("an event names its aggregate").to_owned();
    match event {
        Event::Pipeline(_) => StreamId::new(rivet_events::StreamType::Pipeline, id("pipeline_id")),
        Event::Job(_) => StreamId::new(rivet_events::StreamType::Job, id("job_id")),
        Event::JobLog(_) => StreamId::new(rivet_events::StreamType::JobLog, id("job_id")),
        Event::Runner(_) => StreamId::new(rivet_events::StreamType::Runner, id("runner_id")),
        Event::Claim(_) | Event::Group(_) | Event::Projection(_) | Event::Unreadable(_) => {
            panic!("name the stream of this event")
        }
        Event::Webhook(_) => StreamId::new(rivet_events::StreamType::Webhook, id("webhook_id")),
        Event::Archive(_) => StreamId::archive(),
    }
}

/// All rows after these events.
pub(crate) fn rows_after<P: Projection>(
    projection: &P,
    events: impl IntoIterator<Item = Event>,
) -> MemoryRows {
    let mut rows = MemoryRows::default();
    rows.advance(projection, &log_of(events));
    assert_eq!(rows.parked, [], "nothing is parked");
    rows
}

/// The row with this key after these events.
pub(crate) fn row_after<P: Projection>(
    projection: &P,
    key: &impl ToString,
    events: impl IntoIterator<Item = Event>,
) -> Option<P::Row> {
    rows_after(projection, events).row::<P>(&key.to_string())
}
