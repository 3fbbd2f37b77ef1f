//! Checks that the log is complete: each position, and each sequence of a stream, is in the log's table or in a
//! segment of the archive. On the way it collects the events that cannot be read.

mod archive;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::RangeInclusive;

use rivet_events::archive::SegmentArchived;
use rivet_events::log::{EventLog, ReadError};
use rivet_events::{Envelope, Event, Position, StreamId, StreamType, Version};

pub(crate) use self::archive::check_archive;
use self::archive::{Segments, is_removed, segments};
use crate::bulk::Events;
use crate::verify::{self, MAX_REPORTED};

/// The part of the log that was seen so far, and the faults in it.
#[derive(Default)]
pub(crate) struct Density {
    position: u64,
    /// A bitmap of the positions that were seen.
    seen: Vec<u64>,
    streams: HashMap<StreamId, SeenStream>,
    /// For job logs whose first event seen is not their first one: the sequence before it. The archive should have
    /// those up to there.
    begun: HashMap<StreamId, Version>,
    /// Places where the log is not complete.
    pub(crate) faults: Vec<String>,
    /// Events that this build cannot read.
    pub(crate) unreadable: Vec<String>,
}

/// The part of a stream that was seen so far.
struct SeenStream {
    /// The position of its first event.
    first: Position,
    /// The sequence of its last event.
    last: Version,
}

impl Density {
    /// The log was seen up to here.
    pub(crate) fn position(&self) -> Position {
        Position(self.position)
    }

    /// Records the events of a range of the log's table. It has no further ones up to the range's end.
    pub(crate) fn see_all(&mut self, (events, to): &Events) {
        for envelope in events {
            self.see(envelope);
        }
        self.position = self.position.max(to.0);
    }

    fn see(&mut self, envelope: &Envelope) {
        let Envelope { position, ref stream, sequence, .. } = *envelope;
        if position.0 <= self.position {
            // Seen before, when another read model was folded.
            return;
        }
        self.position = position.0;
        set(&mut self.seen, position);
        if let Event::Unreadable(event) = &envelope.event {
            let (name, error) = (&event.event_type, &event.error);
            verify::report(
                &mut self.unreadable,
                format!("{name} of {stream} at position {position} cannot be read: {error}"),
            );
        }
        match self.streams.entry(stream.clone()) {
            Entry::Occupied(mut seen) => {
                let before = std::mem::replace(&mut seen.get_mut().last, sequence);
                let follows =
                    if is_compacted(stream) { sequence > before } else { sequence.0 == before.0 + 1 };
                if !follows {
                    self.report(format!("sequence {sequence} of {stream} follows {before}"));
                }
            }
            Entry::Vacant(first) => {
                first.insert(SeenStream { first: position, last: sequence });
                let before = Version(sequence.0.saturating_sub(1));
                if before.0 > 0 && stream.kind == StreamType::JobLog {
                    self.begun.insert(stream.clone(), before);
                } else if before.0 > 0 && !is_compacted(stream) {
                    self.report(format!("sequence {sequence} of {stream} follows 0"));
                }
            }
        }
    }

    /// Reads the whole archive too; then all faults are found. For a segment that cannot be read, that is one fault,
    /// and not one for each of its events.
    pub(crate) async fn complete(&mut self, log: &dyn EventLog) -> Result<(), ReadError> {
        let (mut archived, mut unread) = (Vec::new(), Vec::new());
        let Segments { kept, mut removed_events } = segments(log).await?;
        for segment in kept {
            if let Err(fault) = self.see_segment(log.archive(), &segment, &mut archived).await? {
                if is_removed(log.archive(), &segment).await? {
                    removed_events += segment.recorded.events;
                    continue;
                }
                let SegmentArchived { segment, events, first_position, last_position, .. } = segment.recorded;
                self.report(format!(
                    "segment {segment} of the archive, with {events} events of positions {first_position} to {last_position}: {fault}"
                ));
                unread.push(first_position..=last_position);
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
        Ok(())
    }

    /// Checks that as many positions are missing as were purged: which ones were purged is not recorded.
    fn count_missing(&mut self, archived: &[u64], unread: &[RangeInclusive<Position>], purged: u64) {
        let is_missing = |position: &Position| {
            !is_set(&self.seen, *position)
                && !is_set(archived, *position)
                && !unread.iter().any(|segment| segment.contains(position))
        };
        let missing = (1..=self.position).map(Position).filter(is_missing);
        if purged == 0 {
            for position in missing.take(MAX_REPORTED).collect::<Vec<_>>() {
                self.report(format!("position {position} is missing"));
            }
        } else if unread.is_empty() {
            let missing = missing.count() as u64;
            if missing != purged {
                self.report(format!("{missing} positions are missing, and {purged} were purged"));
            }
        }
    }

    fn report(&mut self, fault: String) {
        verify::report(&mut self.faults, fault);
    }
}

/// Whether events in the middle of the stream may have been deleted. They are counted all the same.
fn is_compacted(stream: &StreamId) -> bool {
    matches!(stream.kind, StreamType::Runner | StreamType::Group)
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
