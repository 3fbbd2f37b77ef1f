//! Tells the runner what happens in the job, in whole lines from any thread.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use rivet_events::job_log::{LogEntry, LogLevel};

use crate::runner::execution::JobResult;
use crate::runner::job_process::Message;

/// The way to the runner. Cheap to clone; clones share it.
#[derive(Clone)]
pub(super) struct Reporter(Arc<Mutex<dyn Write + Send>>);

impl Reporter {
    /// Reports on standard output, which nothing else may write to.
    pub(super) fn to_runner() -> Self {
        Self::to(io::stdout())
    }

    /// Reports to `output`.
    pub(super) fn to(output: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(output)))
    }

    /// Adds an entry to the job's log.
    pub(super) fn log(&self, level: LogLevel, message: impl Into<String>) {
        // A log entry has no NUL.
        let message = message.into().replace('\0', "\u{fffd}");
        self.send(&Message::Log(LogEntry { timestamp: crate::runner::now(), level, message }));
    }

    /// Ends the job.
    pub(super) fn result(&self, result: JobResult) {
        self.send(&Message::Result(result));
    }

    fn send(&self, message: &Message) {
        let mut line = serde_json::to_vec(message).expect("invariant: messages are plain data");
        line.push(b'\n');
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It fails only when the runner is gone, and then this process is about to be killed.
        let _ = output.write_all(&line).and_then(|()| output.flush());
    }
}
