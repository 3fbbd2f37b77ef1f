//! Errors: of a run as a whole, and of one request.

use std::io;

/// Why the load could not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The async runtime could not be built.
    #[error("the runtime cannot be started")]
    NoRuntime(#[source] io::Error),
    /// The URL of the server is not an `http` one: the load goes over connections without TLS.
    #[error("{0} is not an http URL: the load goes over plain connections")]
    NotPlain(String),
    /// The name of the server cannot be resolved.
    #[error("the address of {host} cannot be found")]
    UnknownHost {
        /// The name.
        host: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// There is no such process, or its figures cannot be read.
    #[error("the figures of process {pid} cannot be read")]
    NoProcess {
        /// The process.
        pid: u32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The server refused what a run needs beforehand.
    #[error("the server cannot be prepared: {what}")]
    NotPrepared {
        /// What it was asked for.
        what: &'static str,
        /// Why not.
        #[source]
        source: Failure,
    },
}

/// Why a request failed. The text is the same for all failures of a kind, since they are counted by it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The connection could not be opened.
    #[error("no connection: {}", .0.kind())]
    NoConnection(io::Error),
    /// The connection broke during the request.
    #[error("connection broke: {}", .0.kind())]
    Broken(io::Error),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The answer is not HTTP, or not what the API specifies.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
    /// The server answered with another status than success.
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
