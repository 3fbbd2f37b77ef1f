//! Reads logs back from their segments.

use std::sync::Arc;

use moka::sync::Cache;

use super::format::{self, StoredEvent};
use super::index::{self, BlockPlace};
use super::objects::Objects;
use crate::database::Database;
use crate::envelope::{Envelope, Version};
use crate::id::JobId;
use crate::log::StoreError;

/// Capacity of the cache of blocks, in bytes of their events.
const CACHE_BYTES: u64 = 32 << 20;
/// Size of a page, in bytes of its events; the block that exceeds it is the last one.
const PAGE_BYTES: usize = 2 << 20;

/// The archive of job logs. Clones share one cache.
#[derive(Debug, Clone)]
pub struct Archive(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Database,
    objects: Option<Objects>,
    /// Caches decoded blocks by the object of their segment and their offset in it.
    blocks: Cache<(String, u64), Arc<[StoredEvent]>>,
}

/// This process was not told where segments are kept.
#[derive(Debug, thiserror::Error)]
#[error("where archived job logs are kept is not known: set --archive-url")]
struct NoObjects;

/// The index promises events that are not in its blocks.
#[derive(Debug, thiserror::Error)]
#[error("the archive has no event of job_log/{job} after number {after}, although its index has one")]
struct Missing {
    job: JobId,
    after: Version,
}

impl Archive {
    /// The archive of a database. `objects` holds the segments; without it, only the index can be read.
    #[must_use]
    pub fn new(database: &Database, objects: Option<Objects>) -> Self {
        let weight =
            |_: &(String, u64), events: &Arc<[StoredEvent]>| u32::try_from(size(events)).unwrap_or(u32::MAX);
        let blocks = Cache::builder().weigher(weight).max_capacity(CACHE_BYTES).build();
        Self(Arc::new(Inner { database: database.clone(), objects, blocks }))
    }

    /// The store of segments.
    ///
    /// # Errors
    /// If this process was not told where it is.
    pub fn objects(&self) -> Result<&Objects, StoreError> {
        self.0.objects.as_ref().ok_or_else(|| NoObjects.into())
    }

    pub(super) fn database(&self) -> &Database {
        &self.0.database
    }

    /// Whether any part of a job's log is in a segment.
    pub async fn holds(&self, job: JobId) -> Result<bool, StoreError> {
        Ok(!index::after_sequence(&self.0.database, job, 0).await?.is_empty())
    }

    /// The archived events of a job's log after `after`, in order.
    pub async fn read_log(&self, job: JobId, after: Version) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let mut log: Vec<Arc<Envelope>> = Vec::new();
        loop {
            let (known, after) = (log.len(), log.last().map_or(after, |last| last.sequence));
            let places = index::after_sequence(&self.0.database, job, after.0).await?;
            if places.is_empty() {
                return Ok(log);
            }
            for place in places {
                let events = self.events(&place, job).await?;
                log.extend(events.into_iter().filter(|envelope| envelope.sequence > after));
            }
            if log.len() == known {
                return Err(Missing { job, after }.into());
            }
        }
    }

    /// A page of the archived events of a job's log, in order, beginning at or before the one that holds the entry
    /// after an index; empty if there is none. It has a few megabytes, unless one block alone is larger.
    pub async fn read_page(&self, job: JobId, after_index: u64) -> Result<Vec<Arc<Envelope>>, StoreError> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        for place in index::after_index(&self.0.database, job, after_index).await? {
            let block = self.block(&place).await?;
            page.extend(decoded(&block, job));
            bytes += size(&block);
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok(page)
    }

    /// The last archived event of a job's log.
    pub async fn read_last(&self, job: JobId) -> Result<Option<Arc<Envelope>>, StoreError> {
        match index::last(&self.0.database, job).await? {
            Some(place) => Ok(self.events(&place, job).await?.pop()),
            None => Ok(None),
        }
    }

    async fn events(&self, place: &BlockPlace, job: JobId) -> Result<Vec<Arc<Envelope>>, StoreError> {
        Ok(decoded(&self.block(place).await?, job))
    }

    async fn block(
        &self,
        BlockPlace { object, place }: &BlockPlace,
    ) -> Result<Arc<[StoredEvent]>, StoreError> {
        let key = (object.clone(), place.start);
        if let Some(block) = self.0.blocks.get(&key) {
            return Ok(block);
        }
        let frame = self.objects()?.get_range(object, place.clone()).await?;
        let block: Arc<[StoredEvent]> = format::read_block(&frame)?.into();
        self.0.blocks.insert(key, Arc::clone(&block));
        Ok(block)
    }
}

fn decoded(block: &[StoredEvent], job: JobId) -> Vec<Arc<Envelope>> {
    let id = job.to_string();
    block.iter().filter(|event| event.stream_id == id).map(|event| Arc::new(event.decode())).collect()
}

fn size(events: &[StoredEvent]) -> usize {
    events.iter().map(|event| event.payload.get().len() + event.metadata.get().len()).sum()
}
