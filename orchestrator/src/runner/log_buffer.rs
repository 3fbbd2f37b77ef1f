//! Buffers the log entries of one attempt until the server has acknowledged them, and says which to send next.
//!
//! An offset is an entry's index in the attempt, and the server acknowledges a count of entries. Only acknowledged
//! entries are dropped, and up to 1 MiB of them is kept: a server that was restored from a backup may ask for them
//! again.

use std::collections::VecDeque;

use rivet_events::job_log::{LogEntry, LogLevel};

/// Entries of one attempt, oldest first.
#[derive(Debug, Default)]
pub(super) struct LogBuffer {
    entries: VecDeque<LogEntry>,
    /// Index of the first entry kept.
    first: u64,
    /// Entries that the server has.
    acknowledged: u64,
    /// Bytes of the entries kept.
    bytes: usize,
    /// Bytes of the entries that the server does not have.
    pending_bytes: usize,
}

impl LogBuffer {
    /// Bytes of entries at which a batch is full; far below the 16 MiB that a server takes at once.
    pub(super) const BATCH_BYTES: usize = 1 << 20;
    /// Entries at which a batch is full.
    pub(super) const BATCH_ENTRIES: usize = 1_000;
    /// Bytes of acknowledged entries kept.
    const KEPT_BYTES: usize = 1 << 20;
    /// Bytes of an entry beside its message: a log may have many that are empty.
    const ENTRY_BYTES: usize = 64;

    /// Adds the next entry of the log.
    pub(super) fn push(&mut self, entry: LogEntry) {
        self.bytes += Self::bytes_of(&entry);
        self.pending_bytes += Self::bytes_of(&entry);
        self.entries.push_back(entry);
    }

    /// Whether the server has everything.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.pending().len() == 0
    }

    /// Whether a whole batch waits.
    pub(super) fn is_full(&self) -> bool {
        self.pending_bytes >= Self::BATCH_BYTES || self.pending().len() >= Self::BATCH_ENTRIES
    }

    /// The offset and the entries to send next; no entries when nothing waits.
    pub(super) fn batch(&self) -> (u64, Vec<&LogEntry>) {
        let mut bytes = 0;
        let batch = self.pending().take(Self::BATCH_ENTRIES).take_while(|entry| {
            let fits = bytes == 0 || bytes + Self::bytes_of(entry) <= Self::BATCH_BYTES;
            bytes += Self::bytes_of(entry);
            fits
        });
        (self.acknowledged, batch.collect())
    }

    /// Notes that the server has `count` entries: more than before, or fewer when it asks for earlier ones with 416.
    pub(super) fn acknowledge(&mut self, count: u64) {
        if count < self.first {
            self.renumber_from(count);
        }
        let end = self.first + self.entries.len() as u64;
        self.acknowledged = count.min(end);
        self.pending_bytes = self.pending().map(Self::bytes_of).sum();
        while self.first < self.acknowledged && self.bytes - self.pending_bytes > Self::KEPT_BYTES {
            let forgotten =
                self.entries.pop_front().expect("invariant: entries from first to acknowledged are kept");
            self.bytes -= Self::bytes_of(&forgotten);
            self.first += 1;
        }
    }

    /// Continues the log from `index`, whose entry has been dropped. One entry that says how many are missing takes
    /// the place of the dropped ones, and the entries after it follow without a gap.
    fn renumber_from(&mut self, index: u64) {
        let missing = self.first - index;
        let timestamp = self.entries.front().map_or_else(super::now, |entry| entry.timestamp);
        let message =
            format!("{missing} lines are missing here: the server lost them after it had taken them");
        let note = LogEntry { timestamp, level: LogLevel::Warning, message };
        self.bytes += Self::bytes_of(&note);
        self.entries.push_front(note);
        self.first = index;
    }

    fn bytes_of(entry: &LogEntry) -> usize {
        entry.message.len() + Self::ENTRY_BYTES
    }

    fn pending(&self) -> impl ExactSizeIterator<Item = &LogEntry> {
        let kept = usize::try_from(self.acknowledged - self.first).expect("invariant: counted in memory");
        self.entries.range(kept..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(messages: impl IntoIterator<Item = String>) -> LogBuffer {
        let mut buffer = LogBuffer::default();
        for message in messages {
            buffer.push(LogEntry { timestamp: super::super::now(), level: LogLevel::Info, message });
        }
        buffer
    }

    fn numbers(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
        range.map(|number| number.to_string())
    }

    fn batch(buffer: &LogBuffer) -> (u64, Vec<&str>) {
        let (offset, entries) = buffer.batch();
        (offset, entries.iter().map(|entry| entry.message.as_str()).collect())
    }

    #[test]
    fn an_unacknowledged_batch_is_sent_again_from_the_same_offset() {
        let buffer = buffer(numbers(0..2));
        assert_eq!(batch(&buffer), (0, vec!["0", "1"]));
        assert_eq!(batch(&buffer), (0, vec!["0", "1"]));
    }

    #[test]
    fn an_acknowledgement_moves_the_offset() {
        let mut buffer = buffer(numbers(0..3));
        buffer.acknowledge(2);
        assert_eq!(batch(&buffer), (2, vec!["2"]));
        buffer.acknowledge(3);
        assert!(buffer.is_acknowledged());
        assert_eq!(batch(&buffer), (3, vec![]));
    }

    #[test]
    fn a_server_that_has_less_than_it_said_gets_the_rest_again() {
        let mut buffer = buffer(numbers(0..3));
        buffer.acknowledge(3);
        buffer.acknowledge(1);
        assert_eq!(batch(&buffer), (1, vec!["1", "2"]));
    }

    #[test]
    fn what_is_forgotten_leaves_a_note_and_the_log_goes_on() {
        let mut buffer = buffer((0..3).map(|_| "x".repeat(LogBuffer::KEPT_BYTES - LogBuffer::ENTRY_BYTES)));
        buffer.acknowledge(3);
        buffer.acknowledge(1);
        let (offset, entries) = batch(&buffer);
        assert_eq!(offset, 1);
        assert!(entries[0].starts_with("1 lines are missing"), "{}", entries[0]);
    }

    #[test]
    fn empty_entries_that_are_acknowledged_are_forgotten_too() {
        let mut buffer = buffer((0..100_000).map(|_| String::new()));
        buffer.acknowledge(100_000);
        assert_eq!(buffer.entries.len(), LogBuffer::KEPT_BYTES / LogBuffer::ENTRY_BYTES);
    }

    #[test]
    fn a_batch_is_bounded_but_never_empty_while_something_waits() {
        let long = "x".repeat(LogBuffer::BATCH_BYTES + 1);
        let buffer = buffer([long.clone(), "short".to_owned()]);
        assert!(buffer.is_full());
        assert_eq!(batch(&buffer), (0, vec![long.as_str()]));
        let many = self::buffer(numbers(0..2_000));
        assert_eq!(many.batch().1.len(), LogBuffer::BATCH_ENTRIES);
    }

    #[test]
    fn an_acknowledgement_beyond_the_end_is_the_end() {
        let mut buffer = buffer(numbers(0..2));
        buffer.acknowledge(9);
        assert_eq!(batch(&buffer), (2, vec![]));
    }
}
