//! Sends messages to the runner, from any thread and in whole lines.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use rivet_events::job::JobResult;
use rivet_events::job_log::{LogEntry, LogLevel};

use crate::runner::job_process::Message;

/// Longest message of one entry, in bytes; a longer one is split. JSON may need six bytes for one of them, and a
/// batch must still stay far below the 16 MiB that a server takes at once.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// The channel to the runner. Cheap to clone; clones share it.
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

    /// Adds a message to the job's log: one entry, unless it is very long.
    pub(super) fn log(&self, level: LogLevel, message: &str) {
        let mut rest = message;
        loop {
            let (part, following) = rest.split_at(rest.floor_char_boundary(MAX_MESSAGE_BYTES));
            let (timestamp, message) = (crate::runner::now(), part.to_owned());
            self.send(&Message::Log(LogEntry { timestamp, level, message }));
            rest = following;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Reports the result, which ends the job.
    pub(super) fn result(&self, result: JobResult) {
        self.send(&Message::Result(result));
    }

    fn send(&self, message: &Message) {
        let mut line = serde_json::to_vec(message).expect("invariant: messages are plain data");
        line.push(b'\n');
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Fails only when the runner is gone, and then this process is about to be killed.
        let _ = output.write_all(&line).and_then(|()| output.flush());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Channel(Sender<Vec<u8>>);

    impl Write for Channel {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The messages that `write` logs.
    pub(in crate::runner::script) fn logged(write: impl FnOnce(&Reporter)) -> Vec<String> {
        let (sender, lines) = channel();
        write(&Reporter::to(Channel(sender)));
        let messages = lines.into_iter().map(|line| match serde_json::from_slice(&line).unwrap() {
            Message::Log(entry) => entry.message,
            Message::Result(result) => panic!("{result:?}"),
        });
        messages.collect()
    }

    #[test]
    fn a_message_is_one_entry() {
        for message in ["two\nlines\0", ""] {
            assert_eq!(logged(|reporter| reporter.log(LogLevel::Info, message)), [message]);
        }
    }

    #[test]
    fn a_very_long_message_goes_on_in_a_further_entry() {
        let message = "ä".repeat(MAX_MESSAGE_BYTES);
        let entries = logged(|reporter| reporter.log(LogLevel::Info, &message));
        assert_eq!((entries.len(), entries.concat() == message), (2, true));
    }
}
