//! The format of a segment: events as JSON, one per line, in blocks that are compressed separately.
//!
//! A block is a zstd frame with a checksum, so that one log can be read without the others, and damage is detected. A
//! sequence of frames is what `zstd` itself writes for several files: `zstd -dc SEGMENT` prints the events.

use std::ops::Range;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, find_frame_compressed_size, get_frame_content_size};

use crate::envelope::{Envelope, Position, Version};
use crate::event::Event;
use crate::id::{EventId, JobId};
use crate::job_log::{JobLogAppended, JobLogEvent};
use crate::log::StoreError;
use crate::log::keeper;

/// Size of a block before compression, in bytes; its last event may exceed it.
const BLOCK_BYTES: usize = 128 << 10;
/// Largest block that is read, in bytes before compression: one event is no larger than a request.
const MAX_BLOCK_BYTES: usize = 256 << 20;
const LEVEL: i32 = 3;

/// An event as the database has it. Payload and metadata are not decoded, so they are read back byte for byte.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Place in the whole log.
    pub position: Position,
    /// The id of the event.
    pub event_id: EventId,
    /// Its stable name.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of its payload.
    #[serde(rename = "version")]
    pub event_version: String,
    /// The kind of its stream.
    pub stream_type: String,
    /// The id of its stream.
    pub stream_id: String,
    /// Place in that stream.
    pub sequence: Version,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// The event itself.
    pub payload: Box<RawValue>,
    /// Who caused it.
    pub metadata: Box<RawValue>,
}

/// Why a segment or a part of it cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// A block is not what was written: its frame or its checksum is wrong.
    #[error("a block of the segment is damaged")]
    Damaged(#[source] StoreError),
    /// A block contains something that is not an event.
    #[error("a block of the segment holds no events")]
    NoEvents(#[from] serde_json::Error),
    /// An event does not belong to a log, or cannot be read by this build.
    #[error("the event at position {position} of job_log/{log} is no readable part of a log")]
    Unreadable {
        /// The id of its stream.
        log: String,
        /// The position of the event.
        position: Position,
    },
}

impl StoredEvent {
    /// Copies a row of the log's table.
    ///
    /// # Errors
    /// [`SegmentError::Unreadable`] if its payload or its metadata is no JSON.
    pub(super) fn of(row: keeper::EventRow<'_>) -> Result<Self, SegmentError> {
        let json = |text: &str| {
            RawValue::from_string(text.to_owned()).map_err(|_| SegmentError::Unreadable {
                log: row.aggregate_id.clone(),
                position: row.position,
            })
        };
        let (payload, metadata) = (json(row.payload)?, json(row.metadata)?);
        Ok(Self {
            position: row.position,
            event_id: row.event_id,
            event_type: row.event_type.to_owned(),
            event_version: row.event_version.to_owned(),
            stream_type: row.aggregate_type.to_owned(),
            stream_id: row.aggregate_id,
            sequence: row.sequence,
            recorded_at: row.recorded_at,
            payload,
            metadata,
        })
    }

    /// Decodes the event.
    #[must_use]
    pub fn decode(&self) -> Envelope {
        let stored = keeper::EventRow {
            position: self.position,
            aggregate_type: &self.stream_type,
            aggregate_id: self.stream_id.clone(),
            sequence: self.sequence,
            event_type: &self.event_type,
            event_version: &self.event_version,
            payload: self.payload.get(),
            metadata: self.metadata.get(),
            event_id: self.event_id,
            recorded_at: self.recorded_at,
        };
        stored.decode()
    }

    /// The batch of log entries that it records.
    ///
    /// # Errors
    /// [`SegmentError::Unreadable`] if it is another event, or cannot be decoded.
    pub fn batch(&self) -> Result<JobLogAppended, SegmentError> {
        let Event::JobLog(JobLogEvent::Appended(appended)) = self.decode().event else {
            return Err(SegmentError::Unreadable { log: self.stream_id.clone(), position: self.position });
        };
        Ok(appended)
    }
}

/// Events of a segment that are compressed together.
#[derive(Debug, Clone)]
pub struct Block {
    /// Where it is in the segment, in bytes.
    pub place: Range<u64>,
    /// Its events, in the order in which they were written: each log in order.
    pub events: Vec<StoredEvent>,
}

/// A whole segment, in memory.
#[derive(Debug, Clone)]
pub struct Segment {
    /// The bytes to store.
    pub bytes: Vec<u8>,
    /// Number of logs in it.
    pub logs: u64,
    /// Number of events in it.
    pub events: u64,
    /// Number of log entries in these events.
    pub entries: u64,
    /// The lowest and the highest position of its events.
    pub positions: (Position, Position),
    /// Size of the events before they were compressed, in bytes.
    pub raw_bytes: u64,
}

impl Segment {
    /// SHA-256 of its bytes, in hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> String {
        sha256(&self.bytes)
    }
}

/// SHA-256, in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Builds a segment.
pub struct SegmentWriter {
    compressor: Compressor<'static>,
    block: Vec<u8>,
    last_log: Option<JobId>,
    segment: Segment,
}

impl SegmentWriter {
    /// Begins an empty segment.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn begin() -> Result<Self, StoreError> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        let segment = Segment {
            bytes: Vec::new(),
            logs: 0,
            events: 0,
            entries: 0,
            positions: (Position(u64::MAX), Position(0)),
            raw_bytes: 0,
        };
        Ok(Self { compressor, block: Vec::new(), last_log: None, segment })
    }

    /// Adds the next event. The events of one log must follow each other.
    ///
    /// # Errors
    /// [`SegmentError::Unreadable`] if it is not a batch of log entries.
    pub fn push(&mut self, event: &StoredEvent) -> Result<(), SegmentError> {
        let batch = event.batch()?;
        let before = self.block.len();
        serde_json::to_writer(&mut self.block, event)?;
        self.block.push(b'\n');
        let Segment { logs, events, entries, positions: (first, last), raw_bytes, .. } = &mut self.segment;
        *logs += u64::from(self.last_log != Some(batch.job_id));
        *events += 1;
        *entries += batch.entries.len() as u64;
        *first = event.position.min(*first);
        *last = event.position.max(*last);
        *raw_bytes += (self.block.len() - before) as u64;
        self.last_log = Some(batch.job_id);
        if self.block.len() >= BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(())
    }

    /// Size of the events so far, in bytes.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        self.segment.raw_bytes
    }

    /// Finishes the segment. `None` if it has no events.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn finish(mut self) -> Result<Option<Segment>, SegmentError> {
        self.end_block()?;
        Ok((self.segment.events > 0).then_some(self.segment))
    }

    fn end_block(&mut self) -> Result<(), SegmentError> {
        if !self.block.is_empty() {
            let frame = self.compressor.compress(&self.block).map_err(damaged)?;
            self.segment.bytes.extend_from_slice(&frame);
            self.block.clear();
        }
        Ok(())
    }
}

/// Reads the blocks of a whole segment, one after the other.
pub fn blocks(segment: &[u8]) -> impl Iterator<Item = Result<Block, SegmentError>> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let rest = segment.get(offset..).filter(|rest| !rest.is_empty())?;
        let length = match find_frame_compressed_size(rest) {
            Ok(length) if length > 0 && length <= rest.len() => length,
            Ok(_) | Err(_) => rest.len(),
        };
        let place = offset as u64..(offset + length) as u64;
        offset += length;
        Some(read_block(&rest[..length]).map(|events| Block { place, events }))
    })
}

/// Reads the events of one block.
///
/// # Errors
/// If the block is damaged, as its checksum tells.
pub(crate) fn read_block(frame: &[u8]) -> Result<Vec<StoredEvent>, SegmentError> {
    let size = match get_frame_content_size(frame) {
        Ok(Some(size)) => usize::try_from(size).unwrap_or(usize::MAX),
        Ok(None) | Err(_) => return Err(damaged("it does not begin as a block does")),
    };
    if size > MAX_BLOCK_BYTES {
        return Err(damaged("it claims to be larger than any block"));
    }
    let text = Decompressor::new().and_then(|mut zstd| zstd.decompress(frame, size)).map_err(damaged)?;
    serde_json::Deserializer::from_slice(&text).into_iter().map(|event| Ok(event?)).collect()
}

fn damaged(error: impl Into<StoreError>) -> SegmentError {
    SegmentError::Damaged(error.into())
}

#[cfg(test)]
mod tests;
