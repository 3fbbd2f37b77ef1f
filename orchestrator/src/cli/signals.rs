//! The signals that ask this process to end, and one that must not end it.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::Signal as SignalNumber;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Handles SIGXFSZ, which would end the process when a write makes a file larger than its limit. The write then
/// fails, as on a full disk. Programs that this one starts get the default back.
pub(super) fn outlive_file_size_limit() -> io::Result<()> {
    signal(SignalKind::from_raw(SignalNumber::XFSZ.as_raw())).map(drop)
}

/// Signals that follow one another so fast count as one: `timeout` and some supervisors send theirs to the process and
/// then to its group, which has it too.
const AT_ONCE: Duration = Duration::from_millis(250);

/// Receives SIGINT and SIGTERM, from the moment of its creation on.
pub(super) struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
    last: Option<Instant>,
}

impl EndSignals {
    pub(super) fn listen() -> io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, last: None })
    }

    /// Waits for the next signal, and returns its name.
    pub(super) async fn next(&mut self) -> &'static str {
        loop {
            let name = tokio::select! {
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.terminate.recv() => "SIGTERM",
            };
            if self.last.is_none_or(|last| last.elapsed() >= AT_ONCE) {
                self.last = Some(Instant::now());
                return name;
            }
        }
    }
}
