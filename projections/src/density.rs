//! Checks that the log is complete: each position, and each sequence of a stream, is in the log's table or in a
//! segment of the archive.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::RangeInclusive;

use rivet_events::archive::{ArchiveEvent, SegmentArchived};
use rivet_events::log::{EventLog, ReadError};
use rivet_events::segments::{Archive, format};
use rivet_events::{Event, Position, StreamId, StreamType, Version};

use crate::verify::MAX_REPORTED;

/// The part of the log that was seen so far, and the faults in it.
#[derive(Default)]
pub(crate) struct Density {
    position: u64,
    /// A bitmap of the positions that were seen.
    seen: Vec<u64>,
    /// The last sequence of each stream.
    sequences: HashMap<StreamId, Version>,
    /// For job logs whose first event seen is not their first one: the sequence before it. The archive should have
    /// those up to there.
    begun: HashMap<StreamId, Version>,
    faults: Vec<String>,
}

impl Density {
    /// The log was seen up to here.
    pub(crate) fn position(&self) -> Position {
        Position(self.position)
    }

    /// Tells that the log's table has no further events up to here.
    pub(crate) fn come_to(&mut self, position: Position) {
        self.position = self.position.max(position.0);
    }

    /// Records an event of the log's table.
    pub(crate) fn see(&mut self, position: Position, stream: &StreamId, sequence: Version) {
        if position.0 <= self.position {
            // Seen before, when another read model was folded.
            return;
        }
        self.position = position.0;
        set(&mut self.seen, position);
        match self.sequences.entry(stream.clone()) {
            Entry::Occupied(mut last) => {
                let before = last.insert(sequence);
                if sequence.0 != before.0 + 1 {
                    self.report(format!("sequence {sequence} of {stream} follows {before}"));
                }
            }
            Entry::Vacant(first) => {
                first.insert(sequence);
                let before = Version(sequence.0.saturating_sub(1));
                if before.0 > 0 && stream.kind == StreamType::JobLog {
                    self.begun.insert(stream.clone(), before);
                } else if before.0 > 0 {
                    self.report(format!("sequence {sequence} of {stream} follows 0"));
                }
            }
        }
    }

    /// Reads the whole archive too, and returns all faults of the log. For a segment that cannot be read, that is one
    /// fault, and not one for each of its events.
    pub(crate) async fn all_faults(mut self, log: &dyn EventLog) -> Result<Vec<String>, ReadError> {
        let (mut archived, mut unread) = (Vec::new(), Vec::new());
        let Segments { kept, removed_events } = segments(log).await?;
        for Segment { recorded, released } in kept {
            if let Err(fault) = self.see_segment(log.archive(), &recorded, released, &mut archived).await {
                let SegmentArchived { segment, events, first_position, last_position, .. } = &recorded;
                self.report(format!(
                    "segment {segment} of the archive, with {events} events of positions {first_position} to {last_position}: {fault}"
                ));
                unread.push(*first_position..=*last_position);
            }
        }
        if unread.is_empty() {
            for (stream, before) in std::mem::take(&mut self.begun) {
                self.report(format!("the {before} events before the first one of {stream} are missing"));
            }
        }
        let purged = match log.archive() {
            Some(archive) => archive.purged().await?.events + removed_events,
            None => removed_events,
        };
        self.count_missing(&archived, &unread, purged);
        Ok(self.faults)
    }

    /// Checks that as many positions are missing as were purged: which ones were purged is not recorded.
    fn count_missing(&mut self, archived: &[u64], unread: &[RangeInclusive<Position>], purged: u64) {
        let is_missing = |position: &Position| {
            !is_set(&self.seen, *position)
                && !is_set(archived, *position)
                && !unread.iter().any(|segment| segment.contains(position))
        };
        let missing: Vec<Position> = (1..=self.position).map(Position).filter(is_missing).collect();
        if purged > 0 && unread.is_empty() && missing.len() as u64 != purged {
            self.report(format!("{} positions are missing, and {purged} were purged", missing.len()));
        } else if purged == 0 {
            for position in missing {
                self.report(format!("position {position} is missing"));
            }
        }
    }

    async fn see_segment(
        &mut self,
        archive: Option<&Archive>,
        recorded: &SegmentArchived,
        released: bool,
        archived: &mut Vec<u64>,
    ) -> Result<(), String> {
        let archive = archive.ok_or("this process was not told where it is")?;
        let objects = archive.objects().map_err(|error| error.to_string())?;
        let bytes = objects.get(&recorded.object).await.map_err(|error| error.to_string())?;
        let sha256 = format::sha256(&bytes);
        if sha256 != recorded.sha256 {
            return Err(format!("its SHA-256 is {sha256}, and was {} when it was archived", recorded.sha256));
        }
        let (mut events, mut last) = (0, None::<(StreamId, Version)>);
        for block in format::blocks(&bytes) {
            for event in block.map_err(|error| error.to_string())?.events {
                events += 1;
                set(archived, event.position);
                if released && is_set(&self.seen, event.position) {
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
        Ok(())
    }

    fn report(&mut self, fault: String) {
        if self.faults.len() < MAX_REPORTED {
            self.faults.push(fault);
        }
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
struct Segment {
    recorded: SegmentArchived,
    /// Whether its events were deleted from the log's table.
    released: bool,
}

/// The segments that exist, and the number of events that were in deleted ones.
struct Segments {
    kept: Vec<Segment>,
    removed_events: u64,
}

async fn segments(log: &dyn EventLog) -> Result<Segments, ReadError> {
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

fn set(bits: &mut Vec<u64>, position: Position) {
    let (word, bit) = place(position);
    if bits.len() <= word {
        bits.resize(word + 1, 0);
    }
    bits[word] |= bit;
}

fn is_set(bits: &[u64], position: Position) -> bool {
    let (word, bit) = place(position);
    bits.get(word).is_some_and(|bits| bits & bit != 0)
}

fn place(position: Position) -> (usize, u64) {
    let word = usize::try_from(position.0 / 64).expect("invariant: a log in memory fits it, a bit an event");
    (word, 1 << (position.0 % 64))
}
