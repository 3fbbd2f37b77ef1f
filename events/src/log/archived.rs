//! A log with an archive behind it: reading the stream of a job's log joins its archived events and those still in the table.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::envelope::{Envelope, Position, Version};
use crate::log::{Append, AppendError, Appended, EventLog, ReadError};
use crate::segments::Archive;
use crate::stream::{StreamId, StreamType};

/// A log, and the archive of events that were moved out of it.
pub(super) struct ArchivedLog {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) archive: Archive,
}

#[async_trait]
impl EventLog for ArchivedLog {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.log.append(append).await
    }

    async fn read_stream(&self, stream: &StreamId, after: Version) -> Result<Vec<Arc<Envelope>>, ReadError> {
        // The table first: events that are archived between the two reads are then found in the archive.
        let here = self.log.read_stream(stream, after).await?;
        let is_whole = here.first().is_some_and(|first| first.sequence.0 == after.0 + 1);
        if is_whole || stream.kind != StreamType::JobLog {
            return Ok(here);
        }
        let Ok(job) = stream.id.parse() else { return Ok(here) };
        let mut whole = self.archive.read_log(job, after).await?;
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
        self.log.read_stream_end(stream, until, count).await
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Arc<Envelope>>, ReadError> {
        self.log.read_all(after, limit).await
    }

    async fn read_range(
        &self,
        after: Position,
        until: Position,
    ) -> Result<(Vec<Arc<Envelope>>, Position), ReadError> {
        self.log.read_range(after, until).await
    }

    async fn read_at(&self, positions: &[Position]) -> Result<Vec<Arc<Envelope>>, ReadError> {
        self.log.read_at(positions).await
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.log.head().await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.log.watch()
    }

    fn archive(&self) -> Option<&Archive> {
        Some(&self.archive)
    }

    async fn close(&self) {
        self.log.close().await;
    }
}
