//! Folds log events into places of batches.

use rivet_events::job_log::JobLogEvent;
use rivet_events::{Envelope, Event, StreamType};

use super::{LogBatch, queries};
use crate::projection::{Projection, Schema};

/// The read model of [`LogBatch`]es.
#[derive(Debug)]
pub(crate) struct JobLogs;

impl Projection for JobLogs {
    const NAME: &'static str = "job_logs";
    const VERSION: u32 = 3;
    const STREAMS: &'static [StreamType] = &[StreamType::JobLog];
    const SCHEMA: Schema = Schema { columns: &[], indexes: &[] };
    const KNOWN_ROWS: usize = 0;
    type Row = LogBatch;

    fn key(envelope: &Envelope) -> Option<String> {
        let Event::JobLog(event) = &envelope.event else { return None };
        let JobLogEvent::Appended(appended) = event;
        Some(queries::key(appended.job_id, appended.first_index))
    }

    fn begins(_envelope: &Envelope) -> bool {
        true
    }

    fn apply(row: Option<LogBatch>, envelope: &Envelope) -> Option<LogBatch> {
        let Event::JobLog(event) = &envelope.event else { return row };
        let JobLogEvent::Appended(appended) = event;
        Some(LogBatch {
            bytes: appended.entries.json().len() as u64,
            first_index: appended.first_index,
            position: envelope.position,
        })
    }
}
