//! The signals that ask this process to end, and one that must not end it.

use std::io;

use rustix::process::Signal as SignalNumber;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Handles SIGXFSZ, which would end the process when a write makes a file larger than its limit. The write then
/// fails, as on a full disk. Programs that this one starts get the default back.
pub(super) fn outlive_file_size_limit() -> io::Result<()> {
    signal(SignalKind::from_raw(SignalNumber::XFSZ.as_raw())).map(drop)
}

/// Receives SIGINT and SIGTERM, from the moment of its creation on.
pub(super) struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl EndSignals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next signal, and returns its name.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
