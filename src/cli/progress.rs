//! The progress line on a terminal.

use std::io::{IsTerminal, Write, stderr};

use crate::load::{Phase, Progress};

/// Shows how a run is going: one line on stderr, rewritten, where somebody looks at it.
pub(super) struct ProgressLine {
    is_shown: bool,
}

impl ProgressLine {
    /// A line that stays silent if told so, or where stderr is not a terminal.
    pub(super) fn new(is_quiet: bool) -> Self {
        Self { is_shown: !is_quiet && stderr().is_terminal() }
    }

    pub(super) fn show(&self, progress: Progress) {
        let doing = match progress.phase {
            Phase::Warmup => "warming up",
            Phase::Measuring => "measuring",
            Phase::Draining => "waiting for the last replies",
        };
        self.rewrite(&format!(
            "{:5.1} s of {:.1} s  {:>10.0} messages/s  {doing}",
            progress.elapsed.as_secs_f64(),
            progress.planned.as_secs_f64(),
            progress.messages_per_s,
        ));
    }

    fn rewrite(&self, text: &str) {
        if self.is_shown {
            // Progress that cannot be shown is no reason to stop.
            let _ = write!(stderr(), "\r{text}\x1b[K").and_then(|()| stderr().flush());
        }
    }
}

impl Drop for ProgressLine {
    /// Leaves the line empty for what comes after.
    fn drop(&mut self) {
        self.rewrite("");
    }
}
