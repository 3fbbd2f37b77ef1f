//! Folds job events into minutes.

use chrono::{DateTime, Utc};
use rivet_events::job::{Ending, JobClaimed, JobEvent, JobStatus};
use rivet_events::{Envelope, Event, StreamType};

use super::{MINUTES, Minute};
use crate::projection::{Column, Projection, Schema};

/// The read model of [`Minute`]s, by index in the ring buffer.
#[derive(Debug)]
pub(crate) struct JobFlow;

impl Projection for JobFlow {
    const NAME: &'static str = "job_flow";
    const VERSION: u32 = 2;
    const STREAMS: &'static [StreamType] = &[StreamType::Job];
    const SCHEMA: Schema = Schema { columns: &[Column::integer("minute")], indexes: &[&["minute"]] };
    type Row = Minute;

    fn key(envelope: &Envelope) -> Option<String> {
        let Event::Job(event) = &envelope.event else { return None };
        counted(Minute::default(), event).map(|_| place(Minute::of(envelope.recorded_at)))
    }

    fn has_lapsed(row: &Minute, at: DateTime<Utc>) -> bool {
        row.minute < Minute::of(at) - i64::from(MINUTES)
    }

    fn apply(row: Option<Minute>, envelope: &Envelope) -> Option<Minute> {
        let Event::Job(event) = &envelope.event else { return row };
        let minute = Minute::of(envelope.recorded_at);
        match row {
            Some(row) if row.minute == minute => counted(row, event),
            // Also where the row's minute is later: that is what a clock that was ahead has left.
            Some(_) | None => counted(Minute { minute, ..Minute::default() }, event),
        }
    }
}

fn place(minute: i64) -> String {
    format!("{:04}", minute.rem_euclid(i64::from(MINUTES)))
}

/// The row with the event counted; `None` if it is none that is counted.
fn counted(mut row: Minute, event: &JobEvent) -> Option<Minute> {
    match event {
        JobEvent::Launched(_) => row.launched += 1,
        JobEvent::Claimed(claimed) => {
            let waited = waited_ms(claimed);
            row.claimed += 1;
            row.waited_ms += waited;
            row.longest_wait_ms = row.longest_wait_ms.max(waited);
        }
        JobEvent::Requeued(_) => row.requeued += 1,
        JobEvent::Completed(_) | JobEvent::Cancelled(_) | JobEvent::TimedOut(_) => {
            end(&mut row, &event.ending()?);
        }
        JobEvent::Started(_)
        | JobEvent::LeaseShown(_)
        | JobEvent::LeaseExpired(_)
        | JobEvent::CancelRequested(_)
        | JobEvent::ReportRefused(_)
        | JobEvent::Purged(_) => return None,
    }
    Some(row)
}

fn end(row: &mut Minute, ending: &Ending<'_>) {
    match ending.status {
        JobStatus::Succeeded => row.succeeded += 1,
        JobStatus::Failed => row.failed += 1,
        JobStatus::Cancelled => row.cancelled += 1,
        JobStatus::TimedOut => row.timed_out += 1,
        JobStatus::Queued | JobStatus::Running => {}
    }
    row.ended_waiting += u64::from(ending.runner_id.is_none());
}

/// How long the job had waited. Clocks of replicas differ, so a negative time counts as 0.
fn waited_ms(claimed: &JobClaimed) -> u64 {
    let waited = claimed.ready_at.map(|ready_at| claimed.claimed_at - ready_at);
    waited.and_then(|waited| u64::try_from(waited.num_milliseconds()).ok()).unwrap_or_default()
}
