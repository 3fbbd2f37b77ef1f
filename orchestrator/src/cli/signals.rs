//! The signals that ask this process to end, and one that must not end it.

use std::io;

use rustix::process::Signal as SignalNumber;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Lets a write fail that would make a file larger than its limit, as on a full disk, where its signal (SIGXFSZ) would
/// end the process. Programs that are started get the default back.
pub(super) fn outlive_file_size_limit() -> io::Result<()> {
    signal(SignalKind::from_raw(SignalNumber::XFSZ.as_raw())).map(drop)
}

/// SIGINT and SIGTERM, from the moment of its making on.
pub(super) struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl EndSignals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one, and names it.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
