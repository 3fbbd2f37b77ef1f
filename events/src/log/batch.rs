//! Appends on their way into the log: the caller encodes its append, and the writer commits a batch of them together.
//!
//! [`commit`] is the protocol that both databases share: store the batch, and if a stream has moved, find the stale
//! writes and store the batch without their appends.

use std::collections::HashSet;
use std::mem;

use chrono::SubsecRound;

use crate::envelope::{Envelope, Position, Version};
use crate::id::EventId;
use crate::log::writer::Queued;
use crate::log::{Append, StoreError};
use crate::stream::StreamId;

/// An [`Append`] in its encoded form, so that the writer has nothing left to serialise.
#[derive(Debug)]
pub(super) struct EncodedAppend {
    pub(super) writes: Vec<Write>,
    /// The events of all writes, in order.
    pub(super) events: Vec<NewEvent>,
    /// As JSON, the same for every event.
    pub(super) metadata: String,
    /// The total length of all payloads.
    pub(super) bytes: usize,
}

/// The part of an append that concerns one stream.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) stream: StreamId,
    pub(super) expected: Version,
    /// The version of the stream after these events.
    pub(super) reached: Version,
    /// Whether the database has to look up the stream's version and compare it. It need not where this process has
    /// seen the stream reach the expected version: if the stream has moved on since, it has an event with the
    /// sequence of ours, and the insert violates the unique key.
    pub(super) lookup: bool,
}

impl Write {
    /// Whether it has no events, and is only the condition that the stream has not moved.
    pub(super) fn is_condition(&self) -> bool {
        self.reached == self.expected
    }
}

/// An event that only lacks its position in the log.
#[derive(Debug)]
pub(super) struct NewEvent {
    /// Its position is 0 until the batch is committed.
    pub(super) envelope: Envelope,
    /// The event as JSON.
    pub(super) payload: String,
}

/// An append that breaks the rules of [`Append`].
#[derive(Debug, thiserror::Error)]
#[error("an append must have an event, and name each stream once")]
struct Malformed;

impl EncodedAppend {
    /// Encodes an append, and gives its events their ids. Fails if a payload has no JSON form, or if the append is
    /// malformed.
    pub(super) fn encode(append: Append) -> Result<Self, StoreError> {
        let writes = &append.writes;
        let is_empty = writes.iter().all(|write| write.events.is_empty());
        let names_twice =
            (1..writes.len()).any(|n| writes[..n].iter().any(|before| before.stream == writes[n].stream));
        if is_empty || names_twice {
            return Err(Malformed.into());
        }
        let metadata = serde_json::to_string(&append.metadata)?;
        // The precision of the databases: what is read back equals what was appended.
        let recorded_at = append.recorded_at.trunc_subsecs(6);
        let mut writes = Vec::with_capacity(append.writes.len());
        let mut events = Vec::new();
        let mut bytes = 0;
        for write in append.writes {
            let reached = Version(write.expected.0 + write.events.len() as u64);
            for (event, sequence) in write.events.into_iter().zip(write.expected.0 + 1..) {
                let payload = serde_json::to_string(&event)?;
                bytes += payload.len();
                let envelope = Envelope {
                    position: Position::default(),
                    event_id: EventId::generate(),
                    stream: write.stream.clone(),
                    sequence: Version(sequence),
                    recorded_at,
                    metadata: append.metadata.clone(),
                    event,
                };
                events.push(NewEvent { envelope, payload });
            }
            writes.push(Write { stream: write.stream, expected: write.expected, reached, lookup: true });
        }
        Ok(Self { writes, events, metadata, bytes })
    }
}

/// Appends that are committed in one transaction. No stream that one of them moves is named by another, so they are
/// independent of each other: a stale append is left out, and the others are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch<'a>(pub(super) &'a [Queued]);

/// How a database stores one batch; see [`commit`].
pub(super) trait StoreBatch {
    /// Stores the appends that have none of these stale writes. Returns the position before the first event stored,
    /// or `None` if a further stream has moved: then nothing was stored.
    async fn append(&mut self, stale_writes: &[usize]) -> Result<Option<Position>, StoreError>;

    /// Finds the writes whose stream is not at the expected version. Returns their indices in [`Batch::writes`],
    /// ascending.
    async fn find_stale_writes(&mut self) -> Result<Vec<usize>, StoreError>;
}

/// The database reported a conflict, but every stream is at its expected version.
#[derive(Debug, thiserror::Error)]
#[error("an append met a stream that has moved, but none has")]
struct Inconsistent;

/// Stores the appends of a batch that are not stale. A second attempt is only needed where another process has moved
/// a stream.
pub(super) async fn commit(mut store: impl StoreBatch) -> Result<Committed, StoreError> {
    let mut stale_writes = Vec::new();
    loop {
        if let Some(base) = store.append(&stale_writes).await? {
            return Ok(Committed { base, stale_writes });
        }
        let before = mem::replace(&mut stale_writes, store.find_stale_writes().await?);
        // A stale write stays stale, so each attempt must find more of them.
        if stale_writes.len() <= before.len() {
            return Err(Inconsistent.into());
        }
    }
}

/// The outcome of a batch.
#[derive(Debug)]
pub(super) struct Committed {
    /// The position before the first event stored; the others follow it in the order of the batch.
    pub(super) base: Position,
    /// The stale writes, as indices in [`Batch::writes`], ascending. Their appends were left out.
    pub(super) stale_writes: Vec<usize>,
}

impl Committed {
    /// The last event stored, with its position.
    pub(super) fn last(&self, batch: Batch<'_>) -> Option<(Position, EventId)> {
        let (place, (_, last)) = (1..).zip(batch.accepted(&self.stale_writes)).last()?;
        Some((Position(self.base.0 + place), last.envelope.event_id))
    }
}

impl<'a> Batch<'a> {
    /// All writes in order, each with the index of its append in the batch.
    pub(super) fn writes(self) -> impl Iterator<Item = (usize, &'a Write)> {
        self.0
            .iter()
            .enumerate()
            .flat_map(|(place, queued)| queued.append.writes.iter().map(move |write| (place, write)))
    }

    /// All events in order, each with the index of its append in the batch.
    pub(super) fn events(self) -> impl Iterator<Item = (usize, &'a EncodedAppend, &'a NewEvent)> {
        self.0.iter().enumerate().flat_map(|(place, queued)| {
            queued.append.events.iter().map(move |event| (place, &queued.append, event))
        })
    }

    /// The writes to look up, of the appends without a stale write. Many appends may have the same condition; it is
    /// returned once.
    pub(super) fn looked_up(self, stale_writes: &[usize]) -> impl Iterator<Item = &'a Write> {
        let stale = self.stale_appends(stale_writes);
        let mut seen = HashSet::new();
        self.writes()
            .filter(move |(append, write)| {
                write.lookup && !stale[*append] && seen.insert((&write.stream, write.expected))
            })
            .map(|(_, write)| write)
    }

    /// The events of appends without a stale write, in order.
    pub(super) fn accepted(
        self,
        stale_writes: &[usize],
    ) -> impl Iterator<Item = (&'a EncodedAppend, &'a NewEvent)> {
        let stale = self.stale_appends(stale_writes);
        self.events().filter(move |(place, ..)| !stale[*place]).map(|(_, append, event)| (append, event))
    }

    /// For each append, whether one of its writes is stale.
    fn stale_appends(self, stale_writes: &[usize]) -> Vec<bool> {
        let mut stale = vec![false; self.0.len()];
        for (place, (append, _)) in self.writes().enumerate() {
            stale[append] |= stale_writes.binary_search(&place).is_ok();
        }
        stale
    }
}
