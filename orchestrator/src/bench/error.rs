//! What goes wrong: with a run as a whole, and with one request.

use std::io;

/// Why there was no load.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The threads and timers of this process.
    #[error("the runtime cannot be started")]
    NoRuntime(#[source] io::Error),
    /// The load goes over plain connections.
    #[error("{0} is not an http URL: the load goes over plain connections")]
    NotPlain(String),
    /// The name of the server leads nowhere.
    #[error("the address of {host} cannot be found")]
    UnknownHost {
        /// The name.
        host: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// There is no such process, or none whose figures can be read.
    #[error("the figures of process {pid} cannot be read")]
    NoProcess {
        /// The process.
        pid: u32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The server did not do what a run needs beforehand.
    #[error("the server cannot be prepared: {what}")]
    NotPrepared {
        /// What it was asked for.
        what: &'static str,
        /// Why not.
        #[source]
        source: Failure,
    },
}

/// Why a request had no good answer. Its text is the same for all of a kind: they are counted by it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There was no connection.
    #[error("no connection: {}", .0.kind())]
    NoConnection(io::Error),
    /// The connection broke with the request under way.
    #[error("connection broke: {}", .0.kind())]
    Broken(io::Error),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// Not HTTP, or not what the API says.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
    /// The server answered otherwise than with success.
    #[error("{status} {code}")]
    Refused {
        /// The status.
        status: u16,
        /// The stable code of the problem, or `-` where there is none.
        code: String,
    },
}

impl From<httparse::Error> for Failure {
    fn from(_: httparse::Error) -> Self {
        Self::Malformed("head")
    }
}
