//! How commands print: columns for people, JSON lines for programs. Text that others wrote is printed without control
//! characters and escape sequences, and with invisible characters escaped, so that it cannot control the reader's
//! terminal, or look like another text.

use std::io::{self, ErrorKind, Write};

use anstream::adapter::strip_str;
use chrono::SecondsFormat;
use rivet_events::Envelope;
use serde::Serialize;

/// One JSON document on a line of its own.
pub(super) fn write_json(out: &mut impl Write, document: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, document)?;
    writeln!(out)
}

/// A message for people, on stderr. That its reader is gone changes nothing.
pub(super) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The outcome of printing, for a command whose exit code is a verdict: it is given also if the reader of the output,
/// who has seen enough, has closed it.
pub(super) fn unless_closed(printed: io::Result<()>) -> io::Result<()> {
    printed.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// A text as one line, without escape sequences; control characters become spaces.
pub(super) fn one_line(text: &str) -> String {
    let visible = strip_str(text).to_string();
    escape_invisible(visible.chars().map(|letter| if letter.is_control() { ' ' } else { letter }))
}

/// A line without escape sequences and control characters; its tabs stay.
pub(super) fn printable(line: &str) -> String {
    let line = strip_str(line).to_string();
    escape_invisible(line.chars().filter(|letter| !letter.is_control() || *letter == '\t'))
}

/// Escapes the characters that show nothing themselves, but break lines, or change the direction of what follows.
fn escape_invisible(letters: impl Iterator<Item = char>) -> String {
    let mut text = String::new();
    for letter in letters {
        if is_invisible(letter) {
            text.extend(letter.escape_unicode());
        } else {
            text.push(letter);
        }
    }
    text
}

/// Whether a character is a format character or a separator of Unicode that shows nothing; not so the joiners of
/// scripts and emoji, the soft hyphen, and tags, which flags consist of.
fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    )
}

/// What a terminal would show of a line that is written over, as programs do to show their progress.
pub(super) fn last_written(line: &str) -> &str {
    let line = line.trim_end_matches('\r');
    line.rsplit('\r').next().unwrap_or(line)
}

/// Time, type and actor of an event, in columns.
pub(super) fn summary(envelope: &Envelope) -> String {
    format!(
        "{}  {:<25}  {}",
        envelope.recorded_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        envelope.event.event_type(),
        one_line(envelope.metadata.actor.as_deref().unwrap_or("-")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[31mred\u{1b}[0m\u{1b}]0;title\u{7}\u{1b}[2J\tb\u{7}\u{9b}c\r";

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(one_line(&format!("{HOSTILE}\nd")), "ared b c  d");
        assert_eq!(printable(HOSTILE), "ared\tbc");
    }

    #[test]
    fn what_is_invisible_is_escaped_and_what_joins_letters_stays() {
        let hostile = "a\u{202e}b\u{2066}c\u{200b}d\u{2028}e\u{feff}";
        let escaped = r"a\u{202e}b\u{2066}c\u{200b}d\u{2028}e\u{feff}";
        assert_eq!((one_line(hostile), printable(hostile)), (escaped.to_owned(), escaped.to_owned()));
        let joined = "\u{1f468}\u{200d}\u{1f527} \u{645}\u{6cc}\u{200c}\u{62e} \u{a0}";
        assert_eq!((one_line(joined), printable(joined)), (joined.to_owned(), joined.to_owned()));
    }

    #[test]
    fn of_a_line_that_is_written_over_the_last_text_is_shown() {
        assert_eq!(last_written("1 %\r50 %\r100 %\r"), "100 %");
        assert_eq!([last_written("done"), last_written("\r")], ["done", ""]);
    }
}
