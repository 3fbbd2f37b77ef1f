//! Why a command came to nothing.

use rivet_events::StreamId;
use rivet_events::log::StoreError;

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<E: std::error::Error> {
    /// The aggregate refuses.
    #[error(transparent)]
    Refused(E),
    /// Others were faster each time that it was tried.
    #[error("{0} changes too fast")]
    Contended(StreamId),
    /// A precondition does not hold any more: load again what the command was made of.
    #[error("{0} has changed meanwhile")]
    Stale(StreamId),
    /// The append queue is full.
    #[error("the event log takes no more at the moment")]
    Overloaded,
    /// The store cannot be reached.
    #[error("the event log is unavailable")]
    Unavailable(#[source] StoreError),
    /// The stream holds something that this build cannot read.
    #[error("{0} cannot be read")]
    Corrupt(StreamId, #[source] StoreError),
}
