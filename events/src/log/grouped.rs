//! The [`EventLog`] over any keeper: a bounded queue in front of the writer, and a cache of the newest events.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::envelope::{Envelope, Position, Version};
use crate::log::batch::EncodedAppend;
use crate::log::keeper::{Keeper, Range};
use crate::log::recent::Recent;
use crate::log::threshold::ThresholdNotify;
use crate::log::writer::{Published, Queued, Writer};
use crate::log::{Append, AppendError, Appended, EventLog, LogObserver, LogSettings, ReadError};
use crate::segments::Archive;
use crate::stream::{StreamId, StreamType};

/// An event log with group commit.
pub(super) struct GroupedLog<K> {
    keeper: Arc<K>,
    queue: mpsc::Sender<Queued>,
    backlog: Arc<ThresholdNotify>,
    /// One permit for each byte of payload that the queue has room for.
    room: Arc<Semaphore>,
    queue_bytes: u32,
    read_bytes: usize,
    published: Arc<Published>,
    /// The archive of events that were moved out of the log.
    archive: Option<Archive>,
    tasks: TaskTracker,
    /// Ends the background tasks, also when the log is dropped.
    closing: DropGuard,
}

/// The append came after the log was closed.
#[derive(Debug, thiserror::Error)]
#[error("the event log is closed")]
struct Closed;

impl<K: Keeper> GroupedLog<K> {
    pub(super) async fn open(
        keeper: K,
        settings: LogSettings,
        archive: Option<Archive>,
        observer: Arc<dyn LogObserver>,
    ) -> Result<Self, ReadError> {
        let keeper = Arc::new(keeper);
        let (queue, appends) = mpsc::channel(settings.queue_appends);
        let head = Arc::new(watch::Sender::new(keeper.head().await?));
        let published = Arc::new(Published {
            recent: Mutex::new(Recent::new(settings.recent_events, settings.recent_bytes)),
            head: Arc::clone(&head),
        });
        let backlog = Arc::new(ThresholdNotify::new());
        let writer = Writer::new(
            Arc::clone(&keeper),
            appends,
            Arc::clone(&backlog),
            Arc::clone(&published),
            settings,
            observer,
        );
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(writer.run(closing.clone()));
        tasks.spawn(Arc::clone(&keeper).follow_others(head, settings.poll_interval, closing.clone()));
        tasks.close();
        Ok(Self {
            keeper,
            queue,
            backlog,
            room: Arc::new(Semaphore::new(settings.queue_bytes as usize)),
            queue_bytes: settings.queue_bytes,
            read_bytes: settings.read_bytes,
            published,
            archive,
            tasks,
            closing: closing.drop_guard(),
        })
    }
}

#[async_trait]
impl<K: Keeper> EventLog for GroupedLog<K> {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        // Before the work of encoding: a full queue has none to spare for what it refuses.
        let place = self.queue.try_reserve().map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(()) => AppendError::Overloaded,
            mpsc::error::TrySendError::Closed(()) => AppendError::Unavailable(Box::new(Closed)),
        })?;
        let append = EncodedAppend::encode(append).map_err(AppendError::Unavailable)?;
        let bytes = u32::try_from(append.bytes).unwrap_or(u32::MAX).min(self.queue_bytes);
        let room =
            Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| AppendError::Overloaded)?;
        let (answer, outcome) = oneshot::channel();
        place.send(Queued { append, answer, room, batch_appends: usize::MAX });
        self.backlog.report(self.queue.max_capacity() - self.queue.capacity());
        outcome.await.unwrap_or_else(|_| Err(AppendError::Unavailable(Box::new(Closed))))
    }

    async fn read_stream(&self, stream: &StreamId, after: Version) -> Result<Vec<Arc<Envelope>>, ReadError> {
        // The table first: events that are archived between the two reads are then found in the archive.
        let here = self.keeper.read_stream(stream, after).await?;
        let is_whole = here.first().is_some_and(|first| first.sequence.0 == after.0 + 1);
        let (Some(archive), StreamType::JobLog, false) = (&self.archive, stream.kind, is_whole) else {
            return Ok(here);
        };
        let Ok(job) = stream.id.parse() else { return Ok(here) };
        let mut whole = archive.read_log(job, after).await?;
        let archived = whole.last().map_or(after, |last| last.sequence);
        whole.extend(here.into_iter().filter(|envelope| envelope.sequence > archived));
        Ok(whole)
    }

    async fn read_stream_end(
        &self,
        stream: &StreamId,
        until: Version,
        count: usize,
    ) -> Result<Vec<Arc<Envelope>>, ReadError> {
        Ok(self.keeper.read_stream_end(stream, until, count).await?)
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Arc<Envelope>>, ReadError> {
        let recent = self.published.recent.lock().unwrap_or_else(PoisonError::into_inner).after(after, limit);
        if let Some(envelopes) = recent {
            return Ok(envelopes);
        }
        let range = Range { after, until: Position::MAX, limit, bytes: self.read_bytes };
        Ok(self.keeper.read_range(range).await?)
    }

    // Not from the cache, which may hold events that were archived or purged since.
    async fn read_range(
        &self,
        after: Position,
        until: Position,
    ) -> Result<(Vec<Arc<Envelope>>, Position), ReadError> {
        let range = Range { after, until, limit: usize::MAX, bytes: self.read_bytes };
        let events = self.keeper.read_range(range).await?;
        let reached = events.last().map_or(until, |last| last.position);
        Ok((events, reached))
    }

    async fn read_at(&self, positions: &[Position]) -> Result<Vec<Arc<Envelope>>, ReadError> {
        let (mut events, mut missing) = (Vec::with_capacity(positions.len()), Vec::new());
        {
            let recent = self.published.recent.lock().unwrap_or_else(PoisonError::into_inner);
            for position in positions {
                match recent.get(*position) {
                    Some(envelope) => events.push(envelope),
                    None => missing.push(*position),
                }
            }
        }
        if !missing.is_empty() {
            events.extend(self.keeper.read_at(&missing).await?);
            events.sort_unstable_by_key(|envelope| envelope.position);
        }
        Ok(events)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        Ok(self.keeper.head().await?)
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.published.head.subscribe()
    }

    fn archive(&self) -> Option<&Archive> {
        self.archive.as_ref()
    }

    async fn close(&self) {
        self.closing.token().cancel();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests;
