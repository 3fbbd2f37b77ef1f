//! Folds job events into the queue.

use chrono::{DateTime, Utc};
use rivet_events::job::{JobEvent, JobLaunched};
use rivet_events::pipeline::ConcurrencyPolicy;
use rivet_events::{Envelope, Event, Position, StreamType, Version};
use uuid::Uuid;

use super::{PRIORITY_STEP, QueuedJob};
use crate::projection::{Column, Projection, Schema};

/// Longest text that is kept as it is in an indexed column, in bytes: PostgreSQL refuses index entries over 2,704
/// bytes.
const MAX_DEMANDS_KEY: usize = 1000;
/// Separates the demands in a key; no name of a capability contains it.
pub(super) const SEPARATOR: &str = "\u{1f}";

/// The read model of [`QueuedJob`]s, by job id.
#[derive(Debug)]
pub(crate) struct JobQueue;

impl Projection for JobQueue {
    const NAME: &'static str = "job_queue";
    const VERSION: u32 = 5;
    const STREAMS: &'static [StreamType] = &[StreamType::Job];
    const SCHEMA: Schema = Schema {
        columns: &[
            Column::text("demands_key"),
            Column::integer("claim_order"),
            Column::integer("due_at"),
            Column::flag("needs_fencing"),
            Column::text("concurrency_group"),
            Column::integer("concurrency_limit"),
            Column::integer("launched_at"),
            Column::integer("cancels_before"),
            Column::text("pipeline_id"),
            Column::integer("queued_at"),
        ],
        indexes: &[
            &["claim_order", "key"],
            &["demands_key", "claim_order", "key"],
            &["concurrency_group", "claim_order"],
            &["concurrency_group", "cancels_before"],
            &["pipeline_id", "claim_order"],
            &["queued_at"],
        ],
    };
    type Row = QueuedJob;

    fn begins(envelope: &Envelope) -> bool {
        envelope.sequence == Version(1)
    }

    fn apply(row: Option<QueuedJob>, envelope: &Envelope) -> Option<QueuedJob> {
        let Event::Job(event) = &envelope.event else { return row };
        evolve(row, event, envelope.position)
    }
}

fn evolve(row: Option<QueuedJob>, event: &JobEvent, position: Position) -> Option<QueuedJob> {
    match event {
        JobEvent::Launched(launched) => Some(waiting(launch(launched, position), launched.requested_at)),
        JobEvent::Claimed(claimed) => row.map(|job| QueuedJob {
            attempt: claimed.attempt,
            queued_at: None,
            claim_order: None,
            demands_key: None,
            ..job
        }),
        JobEvent::Requeued(requeued) => row.map(|job| {
            let job = QueuedJob { due_at: requeued.due_at, needs_fencing: requeued.needs_fencing, ..job };
            waiting(job, requeued.requeued_at)
        }),
        JobEvent::Started(_)
        | JobEvent::LeaseShown(_)
        | JobEvent::LeaseExpired(_)
        | JobEvent::CancelRequested(_)
        | JobEvent::ReportRefused(_) => row,
        JobEvent::Completed(_) | JobEvent::Cancelled(_) | JobEvent::TimedOut(_) | JobEvent::Purged(_) => None,
    }
}

fn launch(launched: &JobLaunched, launched_at: Position) -> QueuedJob {
    let mut demands = launched.demands.clone();
    demands.sort_unstable();
    demands.dedup();
    let concurrency = launched.concurrency.as_ref();
    let cancels_older =
        concurrency.is_some_and(|concurrency| concurrency.policy == ConcurrencyPolicy::CancelOlder);
    QueuedJob {
        job_id: launched.job_id,
        pipeline_id: launched.pipeline_id,
        priority: launched.priority,
        launched_at,
        requested_at: launched.requested_at,
        queued_at: None,
        due_at: launched.requested_at,
        demands,
        needs_fencing: false,
        concurrency: launched.concurrency.clone(),
        attempt: 0,
        claim_order: None,
        demands_key: None,
        concurrency_group: concurrency.map(|concurrency| indexable(&concurrency.group)),
        concurrency_limit: concurrency.map(|concurrency| concurrency.limit),
        cancels_before: cancels_older.then_some(launched_at),
    }
}

fn waiting(job: QueuedJob, queued_at: DateTime<Utc>) -> QueuedJob {
    let head_start = PRIORITY_STEP * i32::from(job.priority);
    QueuedJob {
        queued_at: Some(queued_at),
        claim_order: Some((job.requested_at - head_start).timestamp_micros()),
        demands_key: Some(indexable(&job.demands.join(SEPARATOR))),
        ..job
    }
}

/// The text itself, or its digest if it is too long for an index.
pub(super) fn indexable(text: &str) -> String {
    if text.len() <= MAX_DEMANDS_KEY {
        text.to_owned()
    } else {
        format!("#{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()))
    }
}
