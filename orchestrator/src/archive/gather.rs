//! Collects the logs of the next ended jobs into a segment, and stores it.

use rivet_events::Position;
use rivet_events::archive::SegmentArchived;
use rivet_events::id::JobId;
use rivet_events::segments::{GatherError, Segment, SegmentError, SegmentWriter};

use super::{Archiver, ArchiverError};

/// Jobs of one segment at most, rounded up to whole pages.
const MAX_JOBS: usize = 5_000;
/// Size of the uncompressed events of one segment, in bytes. No page of logs is added once this is reached.
const MAX_BYTES: u64 = 64 << 20;
/// Jobs whose logs are read at once: at first, and at most.
const FIRST_PAGE: usize = 16;
const MAX_PAGE: usize = 500;

impl Archiver<'_> {
    /// Makes the next segment, stores it and reads it back. `None` if no job whose end is recorded after `after` and
    /// up to `until` has a log.
    pub(super) async fn gather(
        &mut self,
        number: u64,
        after: Position,
        until: Position,
    ) -> Result<Option<SegmentArchived>, ArchiverError> {
        let (segment, through) = loop {
            match self.collect(after, until).await {
                Err(ArchiverError::Gather(GatherError::Segment(SegmentError::Unreadable {
                    log,
                    position,
                }))) => {
                    tracing::warn!(stream.id = %log, event.position = position.0, "a log cannot be read, and is not archived");
                    let job: Result<JobId, _> = log.parse();
                    // It always parses: only logs of jobs were asked for.
                    self.unreadable.extend(job);
                }
                collected => break collected?,
            }
        };
        let Some(segment) = segment else {
            self.scanned_through = through;
            return Ok(None);
        };
        self.store(number, segment, through).await.map(Some)
    }

    /// Collects the logs of the next jobs; also returns up to which position it has scanned for ended jobs.
    async fn collect(
        &self,
        after: Position,
        until: Position,
    ) -> Result<(Option<Segment>, Position), ArchiverError> {
        let mut writer = SegmentWriter::begin().map_err(GatherError::Unavailable)?;
        let (mut through, mut jobs, mut page) = (after, 0, FIRST_PAGE);
        while jobs < MAX_JOBS && writer.raw_bytes() < MAX_BYTES {
            let ended =
                self.archive.ended_jobs(through, until, page).await.map_err(GatherError::Unavailable)?;
            through = ended.through;
            if ended.ids.is_empty() {
                break;
            }
            jobs += ended.ids.len();
            let ids: Vec<JobId> = ended.ids.into_iter().filter(|id| !self.unreadable.contains(id)).collect();
            self.archive.gather(&ids, &mut writer).await?;
            // As many as are likely to fill the segment, by the average size of a log so far.
            let left = u128::from(MAX_BYTES.saturating_sub(writer.raw_bytes()));
            let fitting = left * jobs as u128 / u128::from(writer.raw_bytes().max(1));
            page = usize::try_from(fitting).unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
        }
        Ok((writer.finish().map_err(GatherError::from)?, through))
    }

    /// Stores the segment as an object, and reads it back to check its digest.
    async fn store(
        &self,
        number: u64,
        segment: Segment,
        through: Position,
    ) -> Result<SegmentArchived, ArchiverError> {
        let sha256 = segment.sha256();
        // The name includes the digest, so that another archiver's segment of the same number gets another name.
        let object = format!("{number:08}-{}.jsonl.zst", &sha256[..16]);
        let Segment { bytes, logs, events, entries, positions, raw_bytes } = segment;
        let size = bytes.len() as u64;
        let objects = self.archive.objects().map_err(ArchiverError::Objects)?;
        objects.put(&object, bytes).await.map_err(ArchiverError::Objects)?;
        self.read_back(number, &object, &sha256).await?;
        Ok(SegmentArchived {
            segment: number,
            object,
            logs,
            events,
            entries,
            first_position: positions.0,
            last_position: positions.1,
            through,
            bytes: size,
            raw_bytes,
            sha256,
            archived_at: self.clock.now(),
        })
    }
}
