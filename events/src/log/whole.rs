//! Reads of a stream that becomes long only what its state depends on.

use std::sync::Arc;

use super::{EventLog, ReadError};
use crate::envelope::{Envelope, Position, Version};
use crate::stream::StreamId;

/// Events that are read first from the end of a stream that has events with its whole state.
const AT_THE_END: usize = 128;

/// The events that a stream had at a position of the log, in order, from the last usable one on that tells the whole state
/// ([`crate::Event::is_whole`]); all of them if there is none.
pub async fn read_from_whole(
    log: &dyn EventLog,
    stream: &StreamId,
    position: Position,
    is_usable: impl Fn(&Envelope) -> bool,
) -> Result<Vec<Arc<Envelope>>, ReadError> {
    let mut count = AT_THE_END;
    let (mut events, version) = read_end(log, stream, position, count).await?;
    loop {
        let whole = events.iter().rposition(|envelope| envelope.event.is_whole() && is_usable(envelope));
        if whole.is_some() || events.len() < count {
            return Ok(events.split_off(whole.unwrap_or_default()));
        }
        count *= 4;
        events = log.read_stream_end(stream, version, count).await?;
    }
}

/// The events that the state of a pipeline at a position of the log depends on: the first, which says when it was
/// created, and the newest version, which only a deletion can follow. Those in between have a whole script each.
pub async fn read_newest(
    log: &dyn EventLog,
    stream: &StreamId,
    position: Position,
) -> Result<Vec<Arc<Envelope>>, ReadError> {
    let (mut events, _) = read_end(log, stream, position, 2).await?;
    if events.first().is_some_and(|first| first.sequence > Version(1)) {
        events.splice(..0, log.read_stream_end(stream, Version(1), 1).await?);
    }
    Ok(events)
}

/// The last `count` events that a stream had at a position, and the version that it had then.
async fn read_end(
    log: &dyn EventLog,
    stream: &StreamId,
    position: Position,
    count: usize,
) -> Result<(Vec<Arc<Envelope>>, Version), ReadError> {
    let events = log.read_stream_end(stream, Version::MAX, count).await?;
    let Some(last) = events.last() else { return Ok((events, Version::default())) };
    if last.position <= position {
        let version = last.sequence;
        return Ok((events, version));
    }
    let version = version_at(log, stream, position, last.sequence).await?;
    Ok((log.read_stream_end(stream, version, count).await?, version))
}

/// The version that a stream had at a position of the log, by binary search below `later`, a version that it reached
/// afterwards. 0 if it did not exist then. Where events of the stream have left the log, it may be the version of one of
/// these.
async fn version_at(
    log: &dyn EventLog,
    stream: &StreamId,
    position: Position,
    later: Version,
) -> Result<Version, ReadError> {
    let (mut there, mut later) = (0, later.0);
    while later - there > 1 {
        let middle = Version(there + (later - there) / 2);
        match log.read_stream_end(stream, middle, 1).await?.pop() {
            Some(event) if event.position > position => later = event.sequence.0,
            Some(_) | None => there = middle.0,
        }
    }
    Ok(Version(there))
}
