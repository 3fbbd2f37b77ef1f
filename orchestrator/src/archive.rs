//! The archiver: moves the logs of jobs that ended long ago from the event log into segments outside of the database.
//!
//! Each segment takes these steps: [`gather`] collects the logs of the next ended jobs, stores them as one object and
//! reads it back; an event records what is in it; [`release`] deletes those events from the event log. Each step can
//! be repeated, so after a crash the next archiver continues: with the release if the event was recorded, with a new
//! segment if not. Of two concurrent archivers, one records its segment; the other is refused, discards its own and
//! goes on with the next. So is one that gathered logs while another began or ended a purge.
//!
//! It relies on no read model: that a job has ended is read from the log, where it stays true. [`purge`] deletes jobs
//! of which nothing is to be kept, and other events that are as old and superseded.

mod background;
mod gather;
mod purge;
mod release;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rivet_events::archive::SegmentArchived;
use rivet_events::id::JobId;
use rivet_events::log::{ReadError, StoreError};
use rivet_events::segments::{Archive, GatherError, format};
use rivet_events::{Position, StreamId};
use rivet_projections::{NotReleased, ReadModels, Wait};

pub(crate) use background::BackgroundArchiver;
pub(crate) use purge::Retention;

use crate::clock::Clock;
use crate::commands::{CommandError, Commands, metadata};
use crate::domain::archive::{ArchiveCommand, ArchiveError, ArchiveState, RecordRelease, RecordSegment};

/// The name of the archiver, in the metadata of its commands.
const PROCESS: &str = "archiver";

/// How much the archiver throttles itself: after each transaction it pauses for this many times as long as that took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Throttle(pub(crate) u32);

/// Moves logs into the archive, a segment at a time.
pub(crate) struct Archiver<'a> {
    pub(crate) commands: &'a Commands,
    pub(crate) read_models: &'a ReadModels,
    pub(crate) archive: &'a Archive,
    pub(crate) clock: &'a dyn Clock,
    /// Leaves the database to other writers in between.
    pub(crate) throttle: Throttle,
    /// Jobs whose logs cannot be read, and so not be put into a segment; they stay in the event log.
    unreadable: HashSet<JobId>,
    /// Of the jobs whose end is recorded up to here, none has a log left to archive: this archiver has scanned them.
    scanned_through: Position,
    /// No job whose end is recorded up to here is kept, except for those that cannot be read.
    purged_through: Position,
}

/// The outcome of one step.
#[derive(Debug)]
pub(crate) enum Step {
    /// A segment is stored and recorded.
    Archived,
    /// The events of a segment have been deleted from the event log.
    Released(SegmentArchived),
    /// Jobs are marked as purged, by an event each. Next they are deleted.
    Marked,
    /// So many jobs and events have been deleted; no job is left whose end is recorded up to `through`.
    Purged { jobs: u64, events: u64, through: Position },
    /// A segment that held only logs of deleted jobs has been deleted.
    SegmentRemoved,
    /// Events cannot be deleted from the event log yet.
    Waiting(Wait),
    /// There is nothing left to do.
    Idle,
}

/// Why a step failed. The next one continues from the same point.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiverError {
    /// The stored segment, when read back, differs from what was stored. None of its events is deleted from the event
    /// log.
    #[error(
        "segment {segment} ({object}) has SHA-256 {found} instead of {expected}: none of its events leaves the log"
    )]
    Damaged {
        /// The segment.
        segment: u64,
        /// The name of its object.
        object: String,
        /// The digest of what was read back.
        found: String,
        /// The digest that it should have.
        expected: String,
    },
    #[error("the room that became free cannot be given back")]
    Room(#[source] StoreError),
    #[error("jobs cannot be purged")]
    Purge(#[source] StoreError),
    #[error("the store of the archive failed")]
    Objects(#[source] StoreError),
    #[error(transparent)]
    Gather(#[from] GatherError),
    #[error(transparent)]
    Release(#[from] NotReleased),
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error("the archive cannot be recorded")]
    Command(#[from] CommandError<ArchiveError>),
}

impl<'a> Archiver<'a> {
    pub(crate) fn new(
        commands: &'a Commands,
        read_models: &'a ReadModels,
        archive: &'a Archive,
        clock: &'a dyn Clock,
        throttle: Throttle,
    ) -> Self {
        let (unreadable, scanned_through) = (HashSet::new(), Position::default());
        let purged_through = scanned_through;
        Self { commands, read_models, archive, clock, throttle, unreadable, scanned_through, purged_through }
    }

    /// Takes the next step of archiving, for jobs whose end is recorded up to `until`.
    pub(crate) async fn step(&mut self, until: Position) -> Result<Step, ArchiverError> {
        let state = self.state().await?;
        if let Some(pending) = state.pending {
            return self.release(pending).await;
        }
        // The logs of jobs that are being purged are deleted where they are.
        let after = state.through.max(self.scanned_through).max(state.purging_through.unwrap_or_default());
        let Some(segment) = self.gather(state.segments + 1, after, until).await? else {
            return Ok(Step::Idle);
        };
        let object = segment.object.clone();
        let ArchiveState { purged_through, purging_through, .. } = state;
        let record = RecordSegment { archived: Box::new(segment), purged_through, purging_through };
        match self.execute(ArchiveCommand::RecordSegment(record)).await {
            Ok(_) => Ok(Step::Archived),
            Err(CommandError::Refused(ArchiveError::Overtaken)) => {
                self.discard(&object).await?;
                Ok(Step::Archived)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes the object of a segment for which another archiver was faster, unless that archiver stored the very
    /// same one.
    async fn discard(&self, object: &str) -> Result<(), ArchiverError> {
        if self.state().await?.kept.iter().any(|kept| kept.object == object) {
            return Ok(());
        }
        let objects = self.archive.objects().map_err(ArchiverError::Objects)?;
        objects.delete(object).await.map_err(ArchiverError::Objects)
    }

    /// Reads back a segment that was stored, and checks its digest.
    async fn read_back(&self, segment: u64, object: &str, sha256: &str) -> Result<Bytes, ArchiverError> {
        let objects = self.archive.objects().map_err(ArchiverError::Objects)?;
        let bytes = objects.get(object).await.map_err(ArchiverError::Objects)?;
        let found = format::sha256(&bytes);
        if found == sha256 {
            return Ok(bytes);
        }
        let (object, expected) = (object.to_owned(), sha256.to_owned());
        Err(ArchiverError::Damaged { segment, object, found, expected })
    }

    /// The state of the archive as the log has it: another process may have changed it.
    pub(crate) async fn state(&self) -> Result<ArchiveState, ArchiverError> {
        Ok(Arc::unwrap_or_clone(self.commands.archive.reload(StreamId::archive().id).await?.state))
    }

    async fn execute(&self, command: ArchiveCommand) -> Result<ArchiveState, CommandError<ArchiveError>> {
        let id = StreamId::archive().id;
        // The cached state may be stale even over SQLite: the command line archives beside the server.
        self.commands.archive.evict(&id);
        Ok(Arc::unwrap_or_clone(self.commands.archive.execute(id, command, &metadata(PROCESS)).await?.state))
    }

    async fn pause_after(&self, took: Duration) {
        tokio::time::sleep(took.saturating_mul(self.throttle.0)).await;
    }
}
