//! Chooses among the waiting appends: which are committed together in the next batch, and which can be refused
//! without a commit.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::mem;
use std::sync::Arc;

use lru::LruCache;

use crate::envelope::Version;
use crate::log::AppendError;
use crate::log::batch::Write;
use crate::log::writer::Queued;
use crate::stream::StreamId;

/// Takes the next batch out of `waiting`. No stream that one append moves is named by another one, neither in this
/// batch nor in a batch under way, and the appends of each stream keep their order of arrival. `max_bytes` bounds the
/// batch, but not its first append; each append bounds their number.
pub(super) fn take_batch(
    waiting: &mut VecDeque<Queued>,
    under_way: &VecDeque<Arc<Vec<Queued>>>,
    max_bytes: usize,
) -> Vec<Queued> {
    let mut moves = HashMap::new();
    for write in under_way.iter().flat_map(|batch| batch.iter()).flat_map(|queued| &queued.append.writes) {
        mark(&mut moves, write);
    }
    let mut bytes = 0;
    let mut chosen = 0;
    let mut most = usize::MAX;
    let choices: Vec<bool> = waiting
        .iter()
        .map(|queued| {
            let append = &queued.append;
            // An append that has to wait marks its streams too, so that no later one overtakes it.
            let free =
                append.writes.iter().filter(|write| mark(&mut moves, write)).count() == append.writes.len();
            let fits =
                chosen == 0 || (bytes + append.bytes <= max_bytes && chosen < most.min(queued.batch_appends));
            if free && fits {
                bytes += append.bytes;
                chosen += 1;
                most = most.min(queued.batch_appends);
            }
            free && fits
        })
        .collect();
    let mut batch = Vec::with_capacity(chosen);
    for (queued, choice) in mem::take(waiting).into_iter().zip(choices) {
        if choice {
            batch.push(queued);
        } else {
            waiting.push_back(queued);
        }
    }
    batch
}

/// Marks the stream of a write as named, and as moved unless the write is a condition. Returns whether the write can
/// be committed together with the earlier ones that name the stream: any number of conditions can.
fn mark<'a>(moves: &mut HashMap<&'a StreamId, bool>, write: &'a Write) -> bool {
    match moves.entry(&write.stream) {
        Entry::Vacant(entry) => {
            entry.insert(!write.is_condition());
            true
        }
        Entry::Occupied(mut entry) => {
            let moved_before = entry.insert(*entry.get() || !write.is_condition());
            write.is_condition() && !moved_before
        }
    }
}

/// Refuses the waiting appends that expect a version which their stream has passed: of many that race for one stream,
/// all but the first get their conflict without a transaction. Returns how many were refused.
///
/// Such a stream is removed from the cache, since it may have been purged meanwhile and begin anew. A caller that
/// tries again is answered by the database.
pub(super) fn refuse_overtaken(
    waiting: &mut VecDeque<Queued>,
    versions: &mut LruCache<StreamId, Version>,
) -> usize {
    let before = waiting.len();
    let mut moved = Vec::new();
    for queued in mem::take(waiting) {
        let overtaken =
            |write: &&Write| versions.peek(&write.stream).is_some_and(|known| *known > write.expected);
        match queued.append.writes.iter().find(overtaken) {
            Some(write) => {
                let (stream, expected) = (write.stream.clone(), write.expected);
                moved.push(stream.clone());
                let _ = queued.answer.send(Err(AppendError::Conflict { stream, expected }));
            }
            None => waiting.push_back(queued),
        }
    }
    for stream in moved {
        versions.pop(&stream);
    }
    before - waiting.len()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tokio::sync::{Semaphore, oneshot};

    use super::*;
    use crate::envelope::Metadata;
    use crate::event::Event;
    use crate::log::batch::EncodedAppend;
    use crate::log::{Append, StreamWrite};
    use crate::runner::{RunnerEvent, RunnerRemoved};
    use crate::stream::StreamType;

    /// One append for each text. Its letters are the streams that it names; a capital letter is only a condition.
    fn queue<const N: usize>(appends: [&str; N]) -> VecDeque<Queued> {
        let room = Arc::new(Semaphore::new(N));
        let queued = appends.map(|streams| {
            let event = Event::Runner(RunnerEvent::Removed(RunnerRemoved {
                runner_id: "r".parse().unwrap(),
                removed_at: DateTime::UNIX_EPOCH,
            }));
            let write = |id: char| StreamWrite {
                stream: stream(id),
                expected: Version(1),
                events: if id.is_lowercase() { vec![event.clone()] } else { vec![] },
            };
            let append = Append {
                writes: streams.chars().map(write).collect(),
                metadata: Metadata::default(),
                recorded_at: DateTime::UNIX_EPOCH,
            };
            Queued {
                append: EncodedAppend::encode(append).unwrap(),
                answer: oneshot::channel().0,
                room: Arc::clone(&room).try_acquire_owned().unwrap(),
                batch_appends: usize::MAX,
            }
        });
        queued.into()
    }

    fn stream(id: char) -> StreamId {
        StreamId::new(StreamType::Runner, id.to_ascii_lowercase())
    }

    fn streams<'a>(queued: impl IntoIterator<Item = &'a Queued>) -> Vec<String> {
        let name = |write: &Write| {
            if write.is_condition() { write.stream.id.to_uppercase() } else { write.stream.id.clone() }
        };
        let ids = |queued: &Queued| queued.append.writes.iter().map(name).collect();
        queued.into_iter().map(ids).collect()
    }

    #[test]
    fn a_batch_writes_each_stream_once_and_nobody_overtakes() {
        let mut waiting = queue(["a", "b", "ac", "a", "c", "d"]);
        assert_eq!(streams(&take_batch(&mut waiting, &VecDeque::new(), usize::MAX)), ["a", "b", "d"]);
        assert_eq!(streams(&waiting), ["ac", "a", "c"]);
        assert_eq!(streams(&take_batch(&mut waiting, &VecDeque::new(), usize::MAX)), ["ac"]);
        assert_eq!(streams(&take_batch(&mut waiting, &VecDeque::new(), usize::MAX)), ["a", "c"]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn conditions_on_a_stream_share_a_batch_but_not_with_its_writer() {
        let mut waiting = queue(["aP", "bP", "p", "cP"]);
        assert_eq!(streams(&take_batch(&mut waiting, &VecDeque::new(), usize::MAX)), ["aP", "bP"]);
        assert_eq!(streams(&take_batch(&mut waiting, &VecDeque::new(), usize::MAX)), ["p"]);
        assert_eq!(streams(&take_batch(&mut waiting, &VecDeque::new(), usize::MAX)), ["cP"]);
    }

    #[test]
    fn what_a_batch_under_way_moves_waits_for_it() {
        let under_way = VecDeque::from([Arc::new(Vec::from(queue(["aP", "b"])))]);
        let mut waiting = queue(["a", "cP", "p", "d", "bc"]);
        assert_eq!(streams(&take_batch(&mut waiting, &under_way, usize::MAX)), ["cP", "d"]);
        assert_eq!(streams(&waiting), ["a", "p", "bc"]);
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_but_never_empty() {
        let mut waiting = queue(["ab", "c", "d"]);
        let one_event = waiting[1].append.bytes;
        assert_eq!(streams(&take_batch(&mut waiting, &VecDeque::new(), one_event)), ["ab"]);
        assert_eq!(streams(&take_batch(&mut waiting, &VecDeque::new(), one_event)), ["c"]);
        assert_eq!(streams(&waiting), ["d"]);
    }

    #[test]
    fn a_batch_is_as_small_as_one_of_its_appends_asks() {
        let mut waiting = queue(["a", "b", "c", "d", "e"]);
        waiting[1].batch_appends = 2;
        assert_eq!(streams(&take_batch(&mut waiting, &VecDeque::new(), usize::MAX)), ["a", "b"]);
        waiting[1].batch_appends = 1;
        assert_eq!(streams(&take_batch(&mut waiting, &VecDeque::new(), usize::MAX)), ["c", "e"]);
        assert_eq!(streams(&waiting), ["d"]);
    }

    #[test]
    fn only_appends_that_were_overtaken_are_refused() {
        let mut waiting = queue(["a", "b", "ab", "c"]);
        let mut versions = LruCache::unbounded();
        versions.put(stream('a'), Version(2));
        versions.put(stream('c'), Version(1));
        assert_eq!(refuse_overtaken(&mut waiting, &mut versions), 2);
        assert_eq!(streams(&waiting), ["b", "c"]);
    }

    #[test]
    fn who_was_refused_from_memory_is_answered_by_the_database_the_next_time() {
        let mut versions = LruCache::unbounded();
        versions.put(stream('a'), Version(2));
        assert_eq!(refuse_overtaken(&mut queue(["a", "a"]), &mut versions), 2);
        assert_eq!(refuse_overtaken(&mut queue(["a"]), &mut versions), 0);
    }
}
