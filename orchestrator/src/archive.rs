//! The archiver: takes the logs of jobs that ended long ago out of the log, into segments outside of the database.
//!
//! For each segment: [`gather`] puts the logs of the next ended jobs together; the object is stored and read back; an
//! event says what is in it; [`release`] takes out of the log what was read back. Each step can be done again, so who
//! comes after a crash goes on where it was: with the release, if the event is there; with a new segment, if not. Of two
//! archivers, one records its segment, and the other sees that and goes on with the next.
//!
//! It trusts no read model: that a job has ended is read from the log, and stays true. [`purge`] forgets jobs of which
//! nothing is to be kept.

mod background;
mod gather;
mod purge;
mod release;

use std::collections::HashSet;
use std::time::Duration;

use rivet_events::archive::SegmentArchived;
use rivet_events::id::{CommandId, JobId};
use rivet_events::log::{ReadError, StoreError};
use rivet_events::segments::{Archive, GatherError};
use rivet_events::{Metadata, Position, StreamId};
use rivet_projections::{NotReleased, ReadModels};

pub(crate) use background::BackgroundArchiver;
pub(crate) use purge::Retention;

use crate::clock::Clock;
use crate::commands::{CommandError, Commands};
use crate::domain::archive::{ArchiveCommand, ArchiveError, ArchiveState, RecordRelease, RecordSegment};

/// The times that a transaction of the archiver takes are followed by so many of them in which it does nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rest(pub(crate) u32);

/// Moves logs into the archive, a segment at a time.
pub(crate) struct Archiver<'a> {
    pub(crate) commands: &'a Commands,
    pub(crate) read_models: &'a ReadModels,
    pub(crate) archive: &'a Archive,
    pub(crate) clock: &'a dyn Clock,
    /// What it leaves to others who write.
    pub(crate) rest: Rest,
    /// Logs that cannot be part of a segment; they stay where they are.
    left_alone: HashSet<JobId>,
    /// Every job whose end is recorded up to here is in a segment or wrote no log, as far as this archiver has looked.
    looked_through: Position,
    /// No job whose end is recorded up to here is kept, but for those that cannot be read.
    purged_through: Position,
}

/// What a step came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// A segment is stored and recorded.
    Archived,
    /// Its events have left the log.
    Released(SegmentArchived),
    /// Jobs are told to be forgotten.
    Telling,
    /// Nothing is kept any more of so many jobs, whose ends were recorded up to a position.
    Purged { jobs: u64, through: Position },
    /// A segment that held logs of such jobs alone is gone.
    SegmentRemoved,
    /// Events cannot leave the log yet.
    Waiting(Wait),
    /// There is nothing to archive.
    Idle,
}

/// What has to happen before events can leave the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wait {
    /// A rebuild or a verification has to end, or half an hour to pass after one was killed.
    #[error("a read model is being rebuilt or verified")]
    Rebuilding,
    /// The read models have to come to the segment.
    #[error("the read models have only come to position {0}")]
    Behind(Position),
}

/// Why a step was not made. The next one begins where it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiverError {
    /// The stored segment is not what was to be stored, or not any more: nothing of it leaves the log.
    #[error(
        "segment {segment} ({object}) has SHA-256 {found} instead of {expected}: none of its events leaves the log"
    )]
    Damaged {
        /// The segment.
        segment: u64,
        /// Its name in the store.
        object: String,
        /// What its digest is.
        found: String,
        /// What it should be.
        expected: String,
    },
    #[error("the room that became free cannot be given back")]
    Room(#[source] StoreError),
    #[error("jobs cannot be forgotten")]
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
        rest: Rest,
    ) -> Self {
        let (left_alone, looked_through) = (HashSet::new(), Position::default());
        let purged_through = looked_through;
        Self { commands, read_models, archive, clock, rest, left_alone, looked_through, purged_through }
    }

    /// Does what is next, for jobs whose end is recorded up to `until`.
    pub(crate) async fn step(&mut self, until: Position) -> Result<Step, ArchiverError> {
        let state = self.state().await?;
        if let Some(pending) = state.pending {
            return self.release(pending).await;
        }
        let after = state.through.max(self.looked_through);
        let Some(segment) = self.gather(state.segments + 1, after, until).await? else {
            return Ok(Step::Idle);
        };
        let object = segment.object.clone();
        let record = RecordSegment { archived: Box::new(segment) };
        match self.execute(ArchiveCommand::RecordSegment(record)).await {
            Ok(_) => Ok(Step::Archived),
            Err(CommandError::Refused(ArchiveError::Overtaken)) => {
                self.give_up(&object).await?;
                Ok(Step::Archived)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a segment that another archiver was faster with, unless that made the very same one.
    async fn give_up(&self, object: &str) -> Result<(), ArchiverError> {
        if self.state().await?.kept.iter().any(|kept| kept.object == object) {
            return Ok(());
        }
        let objects = self.archive.objects().map_err(ArchiverError::Objects)?;
        objects.delete(object).await.map_err(ArchiverError::Objects)
    }

    /// How far the archive is, whoever brought it there.
    pub(crate) async fn state(&self) -> Result<ArchiveState, ArchiverError> {
        Ok(self.commands.archive.reload(StreamId::archive().id).await?.aggregate.state)
    }

    async fn execute(&self, command: ArchiveCommand) -> Result<ArchiveState, CommandError<ArchiveError>> {
        let id = StreamId::archive().id;
        // What this process remembers may be behind another one, also where nobody else is expected to append.
        self.commands.archive.forget(&id);
        Ok(self.commands.archive.execute(id, command, &metadata()).await?.aggregate.state)
    }

    async fn pause_after(&self, took: Duration) {
        tokio::time::sleep(took.saturating_mul(self.rest.0)).await;
    }
}

fn metadata() -> Metadata {
    Metadata {
        actor: Some("process:archiver".to_owned()),
        correlation_id: Some(CommandId::generate().to_string()),
        ..Metadata::default()
    }
}
