//! The progress line on a terminal.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use super::look;
use crate::load::format::{count, nanos};
use crate::load::study;
use crate::load::study::compare::Step;
use crate::load::{Phase, Progress};
use crate::log;

/// Shows how a run is going: one line on stderr, rewritten, where somebody looks at it.
pub(super) struct ProgressLine {
    is_shown: bool,
}

impl ProgressLine {
    /// A line that stays silent if told so, or where stderr is no terminal that can rewrite it.
    pub(super) fn new(is_quiet: bool) -> Self {
        let can_rewrite = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { is_shown: !is_quiet && stderr().is_terminal() && can_rewrite }
    }

    pub(super) fn show(&self, progress: Progress) {
        let doing = match progress.phase {
            Phase::Warmup => "warming up",
            Phase::Measuring => "measuring",
            Phase::Draining => "waiting for the last replies",
        };
        let p99 = progress.p99_ns.map_or("-".to_owned(), nanos);
        self.rewrite(&format!(
            "{:5.1} s of {:.1} s  {:>9} messages/s  p99 {p99:>7}  {doing}",
            progress.elapsed.as_secs_f64(),
            progress.planned.as_secs_f64(),
            count(progress.messages_per_s.round() as u64),
        ));
    }

    /// A comparison goes on: one line for each of its runs.
    pub(super) fn show_step(&self, step: Step) {
        self.rewrite(&format!(
            "block {} of {}: {}, {}; {} left",
            step.block,
            step.blocks,
            step.side.name(),
            step.progress.map_or_else(
                || "starting".to_owned(),
                |progress| format!("{:.0} messages/s", progress.messages_per_s),
            ),
            rough_time(step.remaining),
        ));
    }

    /// A series of probes goes on.
    pub(super) fn show_probe(&self, step: study::Step) {
        let of = step.of.map_or_else(String::new, |of| format!(" of {of}"));
        let doing = step.progress.map_or_else(
            || "connecting".to_owned(),
            |progress| {
                let to_come = step.of.map_or(0, |of| of - step.number) as u32;
                let left =
                    progress.planned.saturating_sub(progress.elapsed) + progress.planned * to_come;
                let what = if step.of.is_some() { "" } else { " of this run" };
                format!(
                    "{:.0} messages/s, {}{what} left",
                    progress.messages_per_s,
                    rough_time(left)
                )
            },
        );
        self.rewrite(&format!("run {}{of} at {}/s: {doing}", step.number, step.rate));
    }

    /// Leaves the line empty for one on standard output.
    pub(super) fn clear(&self) {
        self.rewrite("");
        log::flush();
    }

    fn rewrite(&self, text: &str) {
        // A line that wraps cannot be rewritten; the last column would wrap the cursor.
        let columns = look::columns().saturating_sub(1);
        if self.is_shown && columns > 0 {
            let fitting: String = text.chars().take(columns).collect();
            log::write(format!("\r{fitting}\x1b[K"));
        }
    }
}

/// A time as long as a person waits for it: `45 s`, `7 min 30 s`, `2 h 5 min`.
pub(super) fn rough_time(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

impl Drop for ProgressLine {
    /// Something else comes after it.
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_as_one_says_them() {
        let cases = [
            (400, "0 s"),
            (45_200, "45 s"),
            (59_600, "1 min"),
            (450_000, "7 min 30 s"),
            (7_500_000, "2 h 5 min"),
            (3_600_000, "1 h"),
        ];
        for (ms, text) in cases {
            assert_eq!(rough_time(Duration::from_millis(ms)), text);
        }
    }
}
