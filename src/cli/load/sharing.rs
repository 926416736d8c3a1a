//! Options of a generator that makes a run together with others, on other hosts.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use clap::Args;

use super::super::moment::parse_moment;
use super::super::progress::rough_time;
use super::error::LoadError;
use crate::load::format::rfc3339_exact;
use crate::load::{Load, Part};
use crate::units::format_count;

/// The part of a run, and when it begins.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Many hosts")]
pub struct Sharing {
    /// Make one part of a load that several generators make, as in 0/3, the first of three. --rate
    /// and --connections are those of all parts: give each the same options, but for this one, and
    /// an --hlog, and merge these logs
    #[arg(long, value_name = "I/N", value_parser = Part::from_str)]
    #[arg(hide_short_help = true)]
    pub(super) part: Option<Part>,
    /// Connect at once, and begin the warm-up at this time: RFC 3339, as in 2026-12-24T18:00:00Z,
    /// or seconds since 1970. Where it has passed by then, nothing is measured (exit code 1)
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    #[arg(hide_short_help = true)]
    pub(super) start_at: Option<SystemTime>,
}

impl Sharing {
    /// Checks that all parts of this load have something to do.
    pub(super) fn check(
        &self,
        has_target: bool,
        connections: usize,
        load: Load,
        duration: Duration,
    ) -> Result<(), LoadError> {
        let Some(part) = self.part else { return Ok(()) };
        if !has_target {
            return Err(LoadError::usage(format!(
                "--part {part} without a TARGET would load a server that no other part does: name \
                 the server of all parts"
            )));
        }
        let parts = format_count(part.of as u64);
        if connections < part.of {
            return Err(LoadError::usage(format!(
                "--connections {} cannot be shared by {parts} parts, of which each needs one: use \
                 more --connections or fewer parts",
                format_count(connections as u64),
            )));
        }
        if let Load::Open { rate, .. } = load
            && u128::from(rate) * duration.as_nanos() / 1_000_000_000 < part.of as u128
        {
            return Err(LoadError::usage(format!(
                "--rate {} cannot be shared by {parts} parts: some would have no message in the \
                 window; use a higher --rate, a longer --duration or fewer parts",
                format_count(rate),
            )));
        }
        Ok(())
    }

    /// The line that says what is waited for.
    pub(super) fn announcement(&self) -> Option<String> {
        let start_at = self.start_at?;
        // Where it has passed the run says so.
        let left = start_at.duration_since(SystemTime::now()).ok()?;
        let (time, left) = (rfc3339_exact(start_at), rough_time(left));
        Some(format!("ringback-load  connecting now; the warm-up begins at {time}, in {left}"))
    }
}
