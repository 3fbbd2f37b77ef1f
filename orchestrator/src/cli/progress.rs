//! How far a pass over the log has come: a bar on a terminal, a line now and then elsewhere.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use rivet_projections::rebuild::Progress;

/// Pause between two lines.
pub(super) const LINE_INTERVAL: Duration = Duration::from_secs(3);

/// Shows progress on stderr.
pub(super) enum ProgressReport {
    Bar(ProgressBar),
    Lines { what: &'static str, began: Instant, last_line: Mutex<Instant> },
}

impl ProgressReport {
    /// Begins to report on what is done.
    pub(super) fn begin(what: &'static str) -> Self {
        if !io::stderr().is_terminal() {
            return Self::Lines { what, began: Instant::now(), last_line: Mutex::new(Instant::now()) };
        }
        let style = "{msg} {wide_bar} {human_pos}/{human_len} events, {rate}/s, {eta} left";
        let style = ProgressStyle::with_template(style).expect("invariant: the template is valid");
        let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            // A failure to write is the terminal's, and ignored.
            let _ = write!(out, "{:.0}", state.per_sec());
        });
        Self::Bar(ProgressBar::new(0).with_style(style).with_message(what))
    }

    /// Shows the progress after a batch.
    pub(super) fn update(&self, progress: Progress) {
        self.reach(progress.position.0, progress.head.0);
    }

    /// Shows that `position` of `head` events are done.
    pub(super) fn reach(&self, position: u64, head: u64) {
        match self {
            Self::Bar(bar) => {
                bar.set_length(head);
                bar.set_position(position);
            }
            Self::Lines { what, began, last_line } => {
                let mut last_line = last_line.lock().unwrap_or_else(PoisonError::into_inner);
                if last_line.elapsed() >= LINE_INTERVAL {
                    *last_line = Instant::now();
                    write_line(what, began.elapsed(), position, head);
                }
            }
        }
    }

    /// Removes the bar.
    pub(super) fn end(self) {
        match self {
            Self::Bar(bar) => bar.finish_and_clear(),
            Self::Lines { .. } => {}
        }
    }
}

#[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
#[expect(clippy::cast_precision_loss, reason = "a rate for reading")]
fn write_line(what: &str, elapsed: Duration, position: u64, head: u64) {
    let rate = position as f64 / elapsed.as_secs_f64();
    let left = Duration::try_from_secs_f64(head.saturating_sub(position) as f64 / rate).unwrap_or_default();
    eprintln!(
        "{what} {}/{} events, {rate:.0}/s, {} left",
        HumanCount(position),
        HumanCount(head),
        HumanDuration(left)
    );
}
