//! Reads of a stream that becomes long only what its state depends on.

use std::sync::Arc;

use super::{EventLog, ReadError};
use crate::envelope::{Envelope, Position, Version};
use crate::stream::StreamId;

/// Events that are read first from the end of a stream that has events with its whole state.
const AT_THE_END: usize = 128;

/// The events of a stream up to version `until`, in order, from the last usable one on that tells the whole state
/// ([`crate::Event::is_whole`]); all of them if there is none.
pub async fn read_from_whole(
    log: &dyn EventLog,
    stream: &StreamId,
    until: Version,
    is_usable: impl Fn(&Envelope) -> bool,
) -> Result<Vec<Arc<Envelope>>, ReadError> {
    let mut count = AT_THE_END;
    loop {
        let mut events = log.read_stream_end(stream, until, count).await?;
        let whole = events.iter().rposition(|envelope| envelope.event.is_whole() && is_usable(envelope));
        if whole.is_some() || events.len() < count {
            return Ok(events.split_off(whole.unwrap_or_default()));
        }
        count *= 4;
    }
}

/// The events up to version `until` that the state of a pipeline depends on: the first, which says when it was created,
/// and the newest version, which only a deletion can follow. Those in between have a whole script each.
pub async fn read_newest(
    log: &dyn EventLog,
    stream: &StreamId,
    until: Version,
) -> Result<Vec<Arc<Envelope>>, ReadError> {
    let mut events = log.read_stream_end(stream, until, 2).await?;
    if events.first().is_some_and(|first| first.sequence > Version(1)) {
        events.splice(..0, log.read_stream_end(stream, Version(1), 1).await?);
    }
    Ok(events)
}

/// The version that a stream had at a position of the log, by binary search; 0 if it did not exist then. Where events of
/// the stream have left the log, it may be the version of a later one of these.
pub async fn version_at(
    log: &dyn EventLog,
    stream: &StreamId,
    position: Position,
) -> Result<Version, ReadError> {
    let last_up_to = async |until| Ok::<_, ReadError>(log.read_stream_end(stream, until, 1).await?.pop());
    let Some(last) = last_up_to(Version::MAX).await? else { return Ok(Version::default()) };
    if last.position <= position {
        return Ok(last.sequence);
    }
    let (mut there, mut later) = (0, last.sequence.0);
    while later - there > 1 {
        let middle = Version(there + (later - there) / 2);
        match last_up_to(middle).await? {
            Some(event) if event.position > position => later = event.sequence.0,
            Some(_) | None => there = middle.0,
        }
    }
    Ok(Version(there))
}
