//! How far a run is: a line that changes on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::bench::Progress;
use crate::cli::progress::LINE_INTERVAL;

/// Shows progress on stderr. On a terminal, the line is removed when this is dropped.
pub(super) struct ProgressReport {
    spinner: Option<ProgressBar>,
    /// When the last line was written, and how many jobs had ended by then.
    last: (Instant, u64),
}

impl ProgressReport {
    pub(super) fn begin() -> Self {
        let spinner = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}");
            ProgressBar::new_spinner().with_style(style.expect("invariant: the template is valid"))
        });
        Self { spinner, last: (Instant::now(), 0) }
    }

    /// Shows how far the run is.
    #[expect(clippy::print_stderr, reason = "messages for people go to stderr")]
    pub(super) fn update(&mut self, progress: Progress) {
        let is_due = self.spinner.is_some() || self.last.0.elapsed() >= LINE_INTERVAL;
        if !is_due {
            return;
        }
        let line = self.line(progress);
        match &self.spinner {
            Some(spinner) => {
                spinner.set_message(line);
                spinner.tick();
            }
            None => eprintln!("{line}"),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for reading")]
    fn line(&mut self, progress: Progress) -> String {
        let Progress { phase, elapsed, lifecycles, errors } = progress;
        let now = Instant::now();
        let (then, before) = std::mem::replace(&mut self.last, (now, lifecycles));
        let rate = (lifecycles - before) as f64 / (now - then).as_secs_f64().max(1e-3);
        format!(
            "{phase}, {:.0} s: {rate:.0} lifecycles/s, {lifecycles} in all, {errors} errors",
            elapsed.as_secs_f64()
        )
    }
}

impl Drop for ProgressReport {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
