//! Why a command failed.

use rivet_events::StreamId;
use rivet_events::log::StoreError;

/// Why a command failed: nothing was appended, or, for [`Self::Unavailable`], it is not known whether it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError<E: std::error::Error> {
    /// The aggregate refused it by its rules.
    #[error(transparent)]
    Refused(E),
    /// Every try lost against a concurrent append to the same stream.
    #[error("{0} changes too fast")]
    Contended(StreamId),
    /// Another stream, on whose version the append depends, has moved: load again what the command was made from.
    #[error("{0} has changed meanwhile")]
    Stale(StreamId),
    /// The append queue is full.
    #[error("the event log takes no more at the moment")]
    Overloaded,
    /// The store cannot be reached.
    #[error("the event log is unavailable")]
    Unavailable(#[source] StoreError),
    /// The stream holds an event that this build cannot read.
    #[error("{0} cannot be read")]
    Corrupt(StreamId, #[source] StoreError),
}
