//! The rules of the archive: one segment at a time, and one purge at a time, whichever process makes it.

use rivet_events::archive::{ArchiveEvent, JobsPurged, PurgeBegun, SegmentReleased, SegmentRemoved};

use super::command::{ArchiveCommand, BeginPurge, RecordPurge, RecordRelease, RecordRemoval, RecordSegment};
use super::state::ArchiveState;

/// Why a command to the archive was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// Another process was faster with this segment or with a purge: what was made is not needed.
    #[error("another process has archived meanwhile")]
    Overtaken,
    /// The events of the previous segment have not been deleted from the event log yet.
    #[error("the segment before it is not released")]
    Pending,
    /// The segment holds logs of jobs that are not purged yet.
    #[error("logs of the segment are still kept")]
    Needed,
    /// There was never such a segment.
    #[error("there is no such segment")]
    NotFound,
}

/// Decides a command: returns the events to record, or why it is refused. No events means that there is nothing new.
pub(super) fn decide(
    state: &ArchiveState,
    command: ArchiveCommand,
) -> Result<Vec<ArchiveEvent>, ArchiveError> {
    match command {
        ArchiveCommand::RecordSegment(record) => record_segment(state, record),
        ArchiveCommand::RecordRelease(record) => record_release(state, &record),
        ArchiveCommand::BeginPurge(begin) => begin_purge(state, &begin),
        ArchiveCommand::RecordPurge(record) => record_purge(state, &record),
        ArchiveCommand::RecordRemoval(record) => record_removal(state, &record),
    }
}

fn record_segment(state: &ArchiveState, record: RecordSegment) -> Result<Vec<ArchiveEvent>, ArchiveError> {
    // Logs that were gathered before a purge may be those of purged jobs.
    let purges = (state.purged_through, state.purging_through);
    if record.archived.segment != state.segments + 1
        || (record.purged_through, record.purging_through) != purges
    {
        return Err(ArchiveError::Overtaken);
    }
    if state.pending.is_some() {
        return Err(ArchiveError::Pending);
    }
    Ok(vec![ArchiveEvent::SegmentArchived(*record.archived)])
}

fn record_release(state: &ArchiveState, record: &RecordRelease) -> Result<Vec<ArchiveEvent>, ArchiveError> {
    match &state.pending {
        Some(pending) if pending.segment == record.segment => {
            Ok(vec![ArchiveEvent::SegmentReleased(SegmentReleased {
                segment: pending.segment,
                events: pending.events,
                released_at: record.now,
            })])
        }
        // Another process was faster.
        Some(_) | None if (1..=state.segments).contains(&record.segment) => Ok(vec![]),
        Some(_) | None => Err(ArchiveError::NotFound),
    }
}

fn begin_purge(state: &ArchiveState, begin: &BeginPurge) -> Result<Vec<ArchiveEvent>, ArchiveError> {
    let is_same = state.purging_through.is_none_or(|through| through == begin.through);
    if begin.after != state.purged_through || !is_same {
        return Err(ArchiveError::Overtaken);
    }
    Ok(vec![ArchiveEvent::PurgeBegun(PurgeBegun { through: begin.through, begun_at: begin.now })])
}

fn record_purge(state: &ArchiveState, record: &RecordPurge) -> Result<Vec<ArchiveEvent>, ArchiveError> {
    if state.purging_through != Some(record.through) {
        return Err(ArchiveError::Overtaken);
    }
    Ok(vec![ArchiveEvent::JobsPurged(JobsPurged {
        jobs: record.jobs.saturating_sub(state.purged_jobs),
        events: record.events.saturating_sub(state.purged_events),
        through: record.through,
        purged_at: record.now,
    })])
}

fn record_removal(state: &ArchiveState, record: &RecordRemoval) -> Result<Vec<ArchiveEvent>, ArchiveError> {
    let is_pending = state.pending.as_ref().is_some_and(|pending| pending.segment == record.segment);
    match state.kept.iter().find(|kept| kept.segment == record.segment) {
        Some(kept) if kept.through > state.purged_through || is_pending => Err(ArchiveError::Needed),
        Some(kept) => Ok(vec![ArchiveEvent::SegmentRemoved(SegmentRemoved {
            segment: kept.segment,
            events: kept.events,
            removed_at: record.now,
        })]),
        // Another process was faster.
        None if (1..=state.segments).contains(&record.segment) => Ok(vec![]),
        None => Err(ArchiveError::NotFound),
    }
}
