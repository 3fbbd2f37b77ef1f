//! Group commit: the one task of a process that appends.
//!
//! It takes whatever waits, commits it in one transaction, and answers each caller; while it commits, the next batch
//! gathers. Nobody waits for a batch to fill. So one sync to disk and one round trip serve all who came meanwhile.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::task::yield_now;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::envelope::{Envelope, Position, StreamId, Version};
use crate::log::batch::{Batch, Committed, EncodedAppend, Write};
use crate::log::keeper::Keeper;
use crate::log::recent::Recent;
use crate::log::{AppendError, Appended, CommittedBatch, LogObserver, LogSettings, StoreError};

/// Appends whose own cost is about that of a sync to disk and a round trip.
const WORTH_A_SYNC: usize = 32;

/// An append that waits for its answer.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) append: EncodedAppend,
    /// Where the answer goes; the caller may have left.
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
    /// Its share of the queue's bytes, given back with the answer.
    pub(super) room: OwnedSemaphorePermit,
}

/// What the writer lets the readers of its process know.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) recent: Mutex<Recent>,
    pub(super) head: Arc<watch::Sender<Position>>,
}

impl Published {
    fn publish(&self, envelopes: Vec<(Arc<Envelope>, usize)>) {
        let Some((last, _)) = envelopes.last() else { return };
        let position = last.position;
        {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            for (envelope, bytes) in envelopes {
                recent.push(envelope, bytes);
            }
        }
        raise(&self.head, position);
    }
}

/// Moves a known head forward, and wakes its watchers; never back.
pub(super) fn raise(head: &watch::Sender<Position>, position: Position) {
    head.send_if_modified(|known| {
        let higher = position > *known;
        *known = position.max(*known);
        higher
    });
}

/// The task.
pub(super) struct Writer<K> {
    pub(super) keeper: Arc<K>,
    pub(super) queue: mpsc::Receiver<Queued>,
    pub(super) published: Arc<Published>,
    pub(super) settings: LogSettings,
    pub(super) observer: Arc<dyn LogObserver>,
    /// Taken from the queue, but not into a batch yet; no more than a batch of them.
    pub(super) waiting: VecDeque<Queued>,
}

impl<K: Keeper> Writer<K> {
    /// Runs until the queue is closed and empty. `closing` closes it; so does the end of the log's value.
    pub(super) async fn run(mut self, closing: CancellationToken) {
        while self.fill(&closing).await {
            let batch = take_batch(&mut self.waiting, self.settings.batch_bytes);
            self.commit(batch).await;
            // Those who were just answered may append again at once: they share the next batch, unless what waits is
            // a batch worth its sync already. Then they make their appends while it commits.
            if self.waiting.len() + self.queue.len() < WORTH_A_SYNC {
                yield_now().await;
            }
        }
    }

    /// Takes in what waits, and waits where nothing does. False when nothing can come any more.
    async fn fill(&mut self, closing: &CancellationToken) -> bool {
        if closing.is_cancelled() {
            self.queue.close();
        }
        if self.waiting.is_empty() {
            let first = tokio::select! {
                first = self.queue.recv() => first,
                () = closing.cancelled(), if !self.queue.is_closed() => {
                    self.queue.close();
                    self.queue.recv().await
                }
            };
            self.waiting.extend(first);
        }
        while self.waiting.len() < self.settings.batch_appends {
            let Ok(next) = self.queue.try_recv() else { break };
            self.waiting.push_back(next);
        }
        !self.waiting.is_empty()
    }

    async fn commit(&mut self, batch: Vec<Queued>) {
        let (appends, callers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|queued| (queued.append, (queued.answer, queued.room))).unzip();
        let began = Instant::now();
        let committed = self.keeper.commit(Batch(&appends)).await;
        let took = began.elapsed();
        let answers = match committed {
            Ok(committed) => self.settle(appends, &committed, took),
            Err(error) => {
                self.observer.failed(appends.len());
                tracing::warn!(error, appends = appends.len(), "a batch of appends was not committed");
                let error: Arc<dyn std::error::Error + Send + Sync> = error.into();
                let unavailable =
                    || Err(AppendError::Unavailable(Box::new(Arc::clone(&error)) as StoreError));
                appends.iter().map(|_| unavailable()).collect()
            }
        };
        for ((answer, room), outcome) in callers.into_iter().zip(answers) {
            drop(room);
            // A caller that has left does not want its answer; its events are in the log all the same.
            let _ = answer.send(outcome);
        }
    }

    /// Gives the stored events their positions, publishes them, and finds the answer of each append.
    fn settle(
        &mut self,
        appends: Vec<EncodedAppend>,
        committed: &Committed,
        took: Duration,
    ) -> Vec<Result<Appended, AppendError>> {
        let mut stale_writes = committed.stale_writes.iter().copied().peekable();
        let mut position = committed.base;
        let mut first_write = 0;
        let mut published = Vec::new();
        let mut heads = HashMap::new();
        let mut answers = Vec::with_capacity(appends.len());
        for mut append in appends {
            let end = first_write + append.writes.len();
            let mut stale = None;
            while let Some(place) = stale_writes.next_if(|place| *place < end) {
                stale.get_or_insert(place - first_write);
            }
            first_write = end;
            if let Some(stale) = stale {
                let write = append.writes.swap_remove(stale);
                answers.push(Err(AppendError::Conflict { stream: write.stream, expected: write.expected }));
                continue;
            }
            let mut envelopes = Vec::with_capacity(append.events.len());
            for event in append.events {
                position = Position(position.0 + 1);
                let envelope = Arc::new(Envelope { position, ..event.envelope });
                if !self.waiting.is_empty() {
                    heads.insert(envelope.stream.clone(), envelope.sequence);
                }
                published.push((Arc::clone(&envelope), event.payload.len()));
                envelopes.push(envelope);
            }
            answers.push(Ok(Appended { envelopes }));
        }
        let events = published.len();
        self.published.publish(published);
        let overtaken = refuse_overtaken(&mut self.waiting, &heads);
        self.observer.committed(&CommittedBatch {
            appends: answers.len(),
            events,
            conflicts: answers.iter().filter(|answer| answer.is_err()).count() + overtaken,
            waiting: self.waiting.len() + self.queue.len(),
            took,
        });
        answers
    }
}

/// Takes what can be committed together: no stream that one moves is named by another, and the order of arrival is
/// kept for each stream.
fn take_batch(waiting: &mut VecDeque<Queued>, max_bytes: usize) -> Vec<Queued> {
    let mut moves = HashMap::new();
    let mut bytes = 0;
    let mut chosen = 0;
    let choices: Vec<bool> = waiting
        .iter()
        .map(|queued| {
            let append = &queued.append;
            // Also when it has to wait itself, its streams are marked, lest a later one overtake it.
            let free =
                append.writes.iter().filter(|write| mark(&mut moves, write)).count() == append.writes.len();
            let fits = chosen == 0 || bytes + append.bytes <= max_bytes;
            if free && fits {
                bytes += append.bytes;
                chosen += 1;
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

/// Marks a stream as named, and as moved or not. Whether the write can stand beside those that named it before: any
/// number of conditions can.
fn mark<'a>(moves: &mut HashMap<&'a StreamId, bool>, write: &'a Write) -> bool {
    match moves.entry(&write.stream) {
        Entry::Vacant(entry) => {
            entry.insert(!write.is_condition);
            true
        }
        Entry::Occupied(mut entry) => {
            let moved_before = entry.insert(*entry.get() || !write.is_condition);
            write.is_condition && !moved_before
        }
    }
}

/// Answers those that wait on a stream which has just moved past them: of many who race for one stream, all but the
/// first learn it without a transaction of their own. Says how many.
fn refuse_overtaken(waiting: &mut VecDeque<Queued>, heads: &HashMap<StreamId, Version>) -> usize {
    if heads.is_empty() {
        return 0;
    }
    let before = waiting.len();
    for queued in mem::take(waiting) {
        let overtaken = queued
            .append
            .writes
            .iter()
            .find(|write| heads.get(&write.stream).is_some_and(|h| *h > write.expected));
        match overtaken {
            Some(write) => {
                let conflict =
                    AppendError::Conflict { stream: write.stream.clone(), expected: write.expected };
                let _ = queued.answer.send(Err(conflict));
            }
            None => waiting.push_back(queued),
        }
    }
    before - waiting.len()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::envelope::{Metadata, StreamType};
    use crate::event::Event;
    use crate::log::{Append, StreamWrite};
    use crate::runner::{RunnerEvent, RunnerRemoved};

    /// One append for each text: its letters are streams, the capital ones only conditions.
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
            }
        });
        queued.into()
    }

    fn stream(id: char) -> StreamId {
        StreamId::new(StreamType::Runner, id.to_ascii_lowercase())
    }

    fn streams<'a>(queued: impl IntoIterator<Item = &'a Queued>) -> Vec<String> {
        let name = |write: &Write| {
            if write.is_condition { write.stream.id.to_uppercase() } else { write.stream.id.clone() }
        };
        let ids = |queued: &Queued| queued.append.writes.iter().map(name).collect();
        queued.into_iter().map(ids).collect()
    }

    #[test]
    fn a_batch_writes_each_stream_once_and_nobody_overtakes() {
        let mut waiting = queue(["a", "b", "ac", "a", "c", "d"]);
        assert_eq!(streams(&take_batch(&mut waiting, usize::MAX)), ["a", "b", "d"]);
        assert_eq!(streams(&waiting), ["ac", "a", "c"]);
        assert_eq!(streams(&take_batch(&mut waiting, usize::MAX)), ["ac"]);
        assert_eq!(streams(&take_batch(&mut waiting, usize::MAX)), ["a", "c"]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn conditions_on_a_stream_share_a_batch_but_not_with_its_writer() {
        let mut waiting = queue(["aP", "bP", "p", "cP"]);
        assert_eq!(streams(&take_batch(&mut waiting, usize::MAX)), ["aP", "bP"]);
        assert_eq!(streams(&take_batch(&mut waiting, usize::MAX)), ["p"]);
        assert_eq!(streams(&take_batch(&mut waiting, usize::MAX)), ["cP"]);
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_but_never_empty() {
        let mut waiting = queue(["ab", "c", "d"]);
        let one_event = waiting[1].append.bytes;
        assert_eq!(streams(&take_batch(&mut waiting, one_event)), ["ab"]);
        assert_eq!(streams(&take_batch(&mut waiting, one_event)), ["c"]);
        assert_eq!(streams(&waiting), ["d"]);
    }

    #[test]
    fn only_appends_that_were_overtaken_are_refused() {
        let mut waiting = queue(["a", "b", "ab", "c"]);
        let stream = |id| StreamId::new(StreamType::Runner, id);
        let heads = HashMap::from([(stream("a"), Version(2)), (stream("c"), Version(1))]);
        assert_eq!(refuse_overtaken(&mut waiting, &heads), 2);
        assert_eq!(streams(&waiting), ["b", "c"]);
    }
}
