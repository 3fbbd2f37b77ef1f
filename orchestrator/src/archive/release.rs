//! Deletes from the event log the events that a recorded segment holds, a few blocks at a time.

use std::time::Instant;

use rivet_events::archive::SegmentArchived;
use rivet_events::segments::{Block, format};
use rivet_projections::{NotReleased, Released};

use super::{ArchiveCommand, Archiver, ArchiverError, RecordRelease, Step};

/// Events to delete in one transaction, rounded up to whole blocks.
const EVENTS: usize = 2_000;

impl Archiver<'_> {
    /// Reads the segment back from the store, checks it, and deletes its events from the event log.
    pub(super) async fn release(&self, segment: SegmentArchived) -> Result<Step, ArchiverError> {
        let bytes = self.read_back(segment.segment, &segment.object, &segment.sha256).await?;
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
                Released::Waiting(wait) => return Ok(Step::Waiting(wait)),
            }
            self.pause_after(began.elapsed()).await;
        }
        let now = self.clock.now();
        self.execute(ArchiveCommand::RecordRelease(RecordRelease { segment: segment.segment, now })).await?;
        Ok(Step::Released(segment))
    }
}
