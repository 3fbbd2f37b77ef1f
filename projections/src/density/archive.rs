//! Checks the segments of the archive, and the index that says which block of which segment holds a log.

use std::collections::BTreeSet;
use std::slice;

use rivet_events::archive::{ArchiveEvent, SegmentArchived};
use rivet_events::log::{EventLog, ReadError, StoreError};
use rivet_events::segments::{Archive, Part, Release, format};
use rivet_events::{Event, Position, StreamId, StreamType, Version};

use super::{Density, is_set, set};

impl Density {
    /// Reads a segment and compares its index with it. The inner result says why the segment cannot be read.
    pub(super) async fn see_segment(
        &mut self,
        archive: Option<&Archive>,
        segment: &Segment,
        archived: &mut Vec<u64>,
    ) -> Result<Result<(), String>, StoreError> {
        let Some(archive) = archive else {
            return Ok(Err("this process was not told where it is".to_owned()));
        };
        match self.see_events(archive, segment, archived).await {
            Ok(parts) => self.compare_index(archive, segment, parts).await.map(Ok),
            Err(fault) => Ok(Err(fault)),
        }
    }

    /// Checks the events of a segment, and returns the parts of logs that are in it, with the positions of their first
    /// events.
    async fn see_events(
        &mut self,
        archive: &Archive,
        Segment { recorded, released }: &Segment,
        archived: &mut Vec<u64>,
    ) -> Result<BTreeSet<(Part, Position)>, String> {
        let objects = archive.objects().map_err(|error| error.to_string())?;
        let bytes = objects.get(&recorded.object).await.map_err(|error| error.to_string())?;
        let sha256 = format::sha256(&bytes);
        if sha256 != recorded.sha256 {
            return Err(format!("its SHA-256 is {sha256}, and was {} when it was archived", recorded.sha256));
        }
        let (mut events, mut last, mut parts) = (0, None::<(StreamId, Version)>, BTreeSet::new());
        for block in format::blocks(&bytes) {
            let block = block.map_err(|error| error.to_string())?;
            let release = Release::of(recorded.segment, &recorded.object, slice::from_ref(&block));
            parts.extend(release.map_err(|error| error.to_string())?.parts());
            for event in block.events {
                events += 1;
                set(archived, event.position);
                if *released && is_set(&self.seen, event.position) {
                    self.report(format!("position {} is in the log and in the archive", event.position));
                }
                let stream = StreamId::new(StreamType::JobLog, &event.stream_id);
                let before = last.take().filter(|(log, _)| *log == stream).map_or(0, |(_, before)| before.0);
                if event.sequence.0 != before + 1 {
                    self.report(format!("sequence {} of {stream} follows {before}", event.sequence));
                }
                if self.begun.get(&stream) == Some(&event.sequence) {
                    self.begun.remove(&stream);
                }
                last = Some((stream, event.sequence));
            }
        }
        if events != recorded.events {
            self.report(format!(
                "segment {} has {events} events instead of {}",
                recorded.segment, recorded.events
            ));
        }
        Ok(parts)
    }

    /// Compares the index of a segment with the parts of logs that are in it. A job that was purged has none there, also
    /// if one with the same id was launched since. A segment whose events are still in the log's table need not be in
    /// the index yet.
    async fn compare_index(
        &mut self,
        archive: &Archive,
        Segment { recorded, released }: &Segment,
        parts: BTreeSet<(Part, Position)>,
    ) -> Result<(), StoreError> {
        let SegmentArchived { segment, object, .. } = recorded;
        let is_kept = |(part, begun): &(Part, Position)| {
            let job = self.streams.get(&StreamId::job(part.job));
            job.is_some_and(|job| job.first < *begun)
        };
        let mut missing: BTreeSet<Part> = parts.into_iter().filter(is_kept).map(|(part, _)| part).collect();
        for found in archive.indexed(*segment, object).await? {
            if !missing.remove(&found) {
                self.report(format!("the index of segment {segment} should not have {found}"));
            }
        }
        for part in missing.iter().filter(|_| *released) {
            self.report(format!("the index of segment {segment} lacks {part}"));
        }
        Ok(())
    }
}

/// Whether a segment that cannot be read was removed since the archive was described, or is about to be. Then nothing in
/// the index leads to it any more: what was in it is purged.
pub(super) async fn is_removed(archive: Option<&Archive>, segment: &Segment) -> Result<bool, StoreError> {
    match archive {
        Some(archive) => Ok(segment.released && !archive.is_needed(segment.recorded.segment).await?),
        None => Ok(false),
    }
}

/// Fails if the log has segments and this process was not told where they are: they could not be checked.
pub(crate) async fn check_archive(log: &dyn EventLog) -> Result<(), ReadError> {
    let Some(archive) = log.archive() else { return Ok(()) };
    if !segments(log).await?.kept.is_empty() {
        archive.objects()?;
    }
    Ok(())
}

/// A segment as the events of the archive describe it.
pub(super) struct Segment {
    pub(super) recorded: SegmentArchived,
    /// Whether its events were deleted from the log's table.
    released: bool,
}

/// The segments that exist, and the number of events that were in deleted ones.
pub(super) struct Segments {
    pub(super) kept: Vec<Segment>,
    pub(super) removed_events: u64,
}

pub(super) async fn segments(log: &dyn EventLog) -> Result<Segments, ReadError> {
    let mut removed_events = 0;
    let mut segments: Vec<Segment> = Vec::new();
    for envelope in log.read_stream(&StreamId::archive(), Version::default()).await? {
        let Event::Archive(event) = &envelope.event else { continue };
        match event {
            ArchiveEvent::SegmentArchived(recorded) => {
                segments.push(Segment { recorded: recorded.clone(), released: false });
            }
            ArchiveEvent::SegmentReleased(released) => {
                for segment in segments.iter_mut().filter(|s| s.recorded.segment == released.segment) {
                    segment.released = true;
                }
            }
            ArchiveEvent::SegmentRemoved(removed) => {
                segments.retain(|segment| segment.recorded.segment != removed.segment);
                removed_events += removed.events;
            }
            ArchiveEvent::PurgeBegun(_) | ArchiveEvent::JobsPurged(_) => {}
        }
    }
    Ok(Segments { kept: segments, removed_events })
}
