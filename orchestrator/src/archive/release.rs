//! Deletes from the event log the events that a recorded segment holds, a few blocks at a time.

use std::time::Instant;

use rivet_events::archive::SegmentArchived;
use rivet_events::segments::{Block, format};
use rivet_projections::{NotReleased, Released};

use super::{ArchiveCommand, Archiver, ArchiverError, RecordRelease, Step, Wait};

/// Events to delete in one transaction, rounded up to whole blocks.
const EVENTS: usize = 2_000;

impl Archiver<'_> {
    /// Reads the segment back from the store, checks it, and deletes its events from the event log.
    pub(super) async fn release(&self, segment: SegmentArchived) -> Result<Step, ArchiverError> {
        let objects = self.archive.objects().map_err(ArchiverError::Objects)?;
        let bytes = objects.get(&segment.object).await.map_err(ArchiverError::Objects)?;
        let found = format::sha256(&bytes);
        if found != segment.sha256 {
            let SegmentArchived { segment, object, sha256: expected, .. } = segment;
            return Err(ArchiverError::Damaged { segment, object, found, expected });
        }
        let mut some: Vec<Block> = Vec::new();
        let mut blocks = format::blocks(&bytes).peekable();
        while let Some(block) = blocks.next() {
            some.push(block.map_err(NotReleased::from)?);
            let events: usize = some.iter().map(|block| block.events.len()).sum();
            if events < EVENTS && blocks.peek().is_some() {
                continue;
            }
            let began = Instant::now();
            let SegmentArchived { segment: number, object, last_position, .. } = &segment;
            match self.read_models.release(*number, object, &some, *last_position).await? {
                Released::Done => some.clear(),
                Released::Rebuilding => return Ok(Step::Waiting(Wait::Rebuilding)),
                Released::Behind(position) => return Ok(Step::Waiting(Wait::Behind(position))),
            }
            self.pause_after(began.elapsed()).await;
        }
        let now = self.clock.now();
        self.execute(ArchiveCommand::RecordRelease(RecordRelease { segment: segment.segment, now })).await?;
        Ok(Step::Released(segment))
    }
}
