//! Runs one command: its output goes to the job's log line by line as it comes, and the beginning of it, up to a
//! bound, to the script.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use rivet_events::job_log::LogLevel;

use super::reporter::Reporter;

/// Most bytes of each output stream that the script gets back, but for the beginning of a character at their end.
const CAPTURED_BYTES: usize = 1 << 20;
/// Longest line of one entry, in bytes; a longer one is split between two characters.
const MAX_LINE_BYTES: usize = 1 << 18;

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The exit code; 128 plus the signal's number when a signal ended the command, as in a shell.
    pub(super) exit_code: i32,
    /// The first [`CAPTURED_BYTES`] of the standard output.
    pub(super) stdout: Vec<u8>,
    /// The first [`CAPTURED_BYTES`] of the error output.
    pub(super) stderr: Vec<u8>,
}

/// Runs `command` with `input`, and waits until it has ended and its output is closed. So a process that it leaves
/// running in the background must not keep the output open.
pub(super) fn run(mut command: Command, input: &[u8], reporter: &Reporter) -> io::Result<Outcome> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().expect("invariant: its input is piped");
    let stdout = child.stdout.take().expect("invariant: its output is piped");
    let stderr = child.stderr.take().expect("invariant: its error output is piped");
    let (stdout, stderr) = thread::scope(|scope| {
        scope.spawn(move || {
            // A command may end without reading all of its input.
            let _ = stdin.write_all(input);
        });
        let errors = scope.spawn(|| stream(stderr, LogLevel::Warning, reporter));
        let output = stream(stdout, LogLevel::Info, reporter);
        (output, errors.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let status = child.wait()?;
    Ok(Outcome { exit_code: exit_code(status), stdout: stdout?, stderr: stderr? })
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1)
}

/// Logs the lines of an output as they come, and returns its first [`CAPTURED_BYTES`].
fn stream(output: impl Read, level: LogLevel, reporter: &Reporter) -> io::Result<Vec<u8>> {
    let mut output = BufReader::new(output);
    let mut captured = Vec::new();
    let mut written = 0;
    // A whole line, or a piece of a long one.
    let mut piece = Vec::new();
    let mut goes_on = false;
    loop {
        let begun = piece.len();
        output.by_ref().take((MAX_LINE_BYTES - begun) as u64).read_until(b'\n', &mut piece)?;
        if piece.is_empty() {
            if written > CAPTURED_BYTES {
                captured.truncate(captured.len() - begun_character(&captured));
            }
            return Ok(captured);
        }
        let new = &piece[begun..];
        written += new.len();
        let room = CAPTURED_BYTES - captured.len();
        captured.extend_from_slice(&new[..new.len().min(room)]);
        let is_cut = piece.len() == MAX_LINE_BYTES && !piece.ends_with(b"\n");
        let end = piece.len() - if is_cut { begun_character(&piece) } else { 0 };
        let text = piece[..end].strip_suffix(b"\n").unwrap_or(&piece[..end]);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        // When the pieces before are the whole line, only its end is left.
        if !(goes_on && text.is_empty()) {
            reporter.log(level, &String::from_utf8_lossy(text));
        }
        goes_on = is_cut;
        piece.drain(..end);
    }
}

/// How many bytes at the end of `bytes` begin a character of UTF-8 that they do not end.
fn begun_character(bytes: &[u8]) -> usize {
    let begins = |&count: &usize| {
        let end = std::str::from_utf8(&bytes[bytes.len() - count..]);
        end.is_err_and(|error| error.error_len().is_none())
    };
    (1..=bytes.len().min(3)).find(begins).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::script::reporter::tests::logged;

    fn shell(script: &str, input: &[u8]) -> Outcome {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, input, &Reporter::to(io::sink())).unwrap()
    }

    fn entries(output: &[u8]) -> Vec<String> {
        logged(|reporter| {
            stream(output, LogLevel::Info, reporter).unwrap();
        })
    }

    #[test]
    fn both_outputs_and_the_exit_code_come_back() {
        let outcome = shell("read word; echo out $word; echo err >&2; exit 3", b"in\n");
        let expected = Outcome { exit_code: 3, stdout: b"out in\n".to_vec(), stderr: b"err\n".to_vec() };
        assert_eq!(outcome, expected);
    }

    #[test]
    fn a_signal_is_told_as_a_shell_tells_it() {
        assert_eq!(shell("kill -TERM $$", b"").exit_code, 143);
    }

    #[test]
    fn a_captured_output_is_bounded() {
        let outcome = shell("head -c 3000000 /dev/zero | tr '\\0' x", b"");
        assert_eq!(outcome.stdout.len(), CAPTURED_BYTES);
    }

    #[test]
    fn a_captured_output_ends_with_a_whole_character() {
        let outcome = shell("printf x; yes äöü | tr -d '\n' | head -c 1048576", b"");
        assert_eq!(outcome.stdout.len(), CAPTURED_BYTES - 1);
        assert!(str::from_utf8(&outcome.stdout).is_ok());
    }

    #[test]
    fn the_beginning_of_a_character_is_told_from_other_bytes() {
        for (bytes, count) in [
            (&b""[..], 0),
            (b"abc", 0),
            ("aä".as_bytes(), 0),
            (b"a\xc3", 1),
            (b"\xe2\x82", 2),
            (b"a\xf0\x9f\x92", 3),
            (b"a\xff", 0),
            (b"\x82\x82\x82", 0),
        ] {
            assert_eq!(begun_character(bytes), count, "{bytes:?}");
        }
    }

    #[test]
    fn a_long_line_is_split_between_characters_and_leaves_no_empty_entry() {
        let full = "x".repeat(MAX_LINE_BYTES);
        for (line, pieces) in [
            (format!("a{}", "ä".repeat(200_000)), 2),
            (full.clone(), 1),
            (format!("{full}\r"), 1),
            (format!("{full}x"), 2),
        ] {
            let entries = entries(format!("{line}\n\nnext").as_bytes());
            assert_eq!(entries[pieces..], ["", "next"]);
            assert!(entries[..pieces].concat() == line.trim_end());
        }
    }

    #[test]
    fn an_output_may_end_inside_a_character() {
        let entries = entries(&[&vec![b'x'; MAX_LINE_BYTES - 1][..], b"\xc3"].concat());
        assert_eq!(entries[1..], ["\u{fffd}"]);
    }

    #[test]
    fn an_input_that_is_not_read_is_no_error() {
        assert_eq!(shell("exit 0", &vec![b'x'; 1 << 20]).exit_code, 0);
    }
}
