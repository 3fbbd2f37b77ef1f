//! Generated histories of pipelines, runners and jobs in which nearly everything occurs that can happen to them: but no job
//! is purged, and a runner registers only once, without a boot id. The same seed gives the same history.

mod attempt;
mod generator;
mod jobs;

use std::ops::Range;

use chrono::DateTime;
use futures_util::future::join_all;
use rivet_events::event::UnreadableEvent;
use rivet_events::log::{Append, EventLog, StreamWrite};
use rivet_events::{Event, Metadata, StreamId, StreamType, Version};
use serde_json::json;
use serde_json::value::to_raw_value;

pub use generator::Generator;

/// The events of one stream, in order.
pub type Stream = (StreamId, Vec<Event>);

/// The streams of a history of that many jobs: those of pipelines and runners, then those of the jobs and of their
/// logs.
pub fn streams(seed: u64, jobs: usize) -> Vec<Stream> {
    let mut generator = Generator::new(seed);
    let mut streams = generator.pipelines_and_runners();
    streams.extend((0..jobs).flat_map(|_| generator.job()));
    streams
}

/// An event of a type that no build knows.
pub fn unreadable(event_type: &str) -> Event {
    Event::Unreadable(UnreadableEvent {
        payload: to_raw_value(&json!({"type": event_type})).expect("invariant: JSON is JSON"),
        event_type: event_type.to_owned(),
        event_version: 7,
        error: String::new(),
    })
}

/// Appends streams from their beginnings, many at once, `step` events of each at a time. As in a real history, the log
/// of a job begins after the job.
pub async fn append_all(log: &dyn EventLog, streams: &[Stream], step: usize) {
    let is_log = |(stream, _): &Stream| stream.kind == StreamType::JobLog;
    for some in streams.chunks(64) {
        let begin = |stream| append_steps(log, stream, step, 0..1);
        join_all(some.iter().filter(|stream| !is_log(stream)).map(begin)).await;
        let go_on = |stream| append_steps(log, stream, step, usize::from(!is_log(stream))..usize::MAX);
        join_all(some.iter().map(go_on)).await;
    }
}

/// Appends a stream from its beginning, `step` events at a time.
pub async fn append(log: &dyn EventLog, stream: &Stream, step: usize) {
    append_steps(log, stream, step, 0..usize::MAX).await;
}

async fn append_steps(log: &dyn EventLog, (stream, events): &Stream, step: usize, steps: Range<usize>) {
    for (n, events) in events.chunks(step).enumerate().skip(steps.start).take(steps.len()) {
        let write = StreamWrite {
            stream: stream.clone(),
            expected: Version((n * step) as u64),
            events: events.to_vec(),
        };
        let append = Append {
            writes: vec![write],
            metadata: Metadata::default(),
            recorded_at: DateTime::from_timestamp_micros(1_700_000_000_000_000).unwrap_or_default(),
        };
        log.append(append).await.expect("the log takes it");
    }
}
