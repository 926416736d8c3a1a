//! A line every so often while a run goes on.

use std::time::Duration;

use hdrhistogram::Histogram;
use tracing::info;

use super::super::look;
use crate::load::report::pace;
use crate::load::report::page::View;
use crate::load::{Interval, Tag};
use crate::units::parse_duration;

/// Adds up the seconds of a run, and says of so many what came of them.
pub(super) struct Ticker {
    every: Duration,
    view: View,
    elapsed: Duration,
    /// Of the kind that users feel, which comes first: its seconds since the last line.
    kind: Option<Tag>,
    length: Duration,
    latencies: Option<Histogram<u64>>,
}

impl Ticker {
    pub(super) fn new(every: Duration, view: View) -> Self {
        let (elapsed, length) = (Duration::ZERO, Duration::ZERO);
        Self { every, view, elapsed, kind: None, length, latencies: None }
    }

    pub(super) fn follow(&mut self, interval: &Interval<'_>) {
        if *self.kind.get_or_insert(interval.tag) != interval.tag {
            return;
        }
        self.length += interval.duration;
        match &mut self.latencies {
            None => self.latencies = Some(interval.latencies.clone()),
            Some(sum) => *sum += interval.latencies,
        }
        if self.length >= self.every {
            self.finish();
        }
    }

    /// The run is over. The time in which the last replies came is no part of it.
    pub(super) fn end(mut self) {
        if self.length * 10 >= self.every {
            self.finish();
        }
    }

    /// Says what came of the seconds since the last line.
    fn finish(&mut self) {
        let Some(latencies) = self.latencies.take() else { return };
        let length = std::mem::take(&mut self.length);
        self.elapsed += length;
        let at = format!("{:>5.0} s", self.elapsed.as_secs_f64());
        info!("{at}  {}", look::line(&pace(length, &latencies, &self.view)));
    }
}

/// Reads an interval: whole seconds, since that is how a run is divided.
pub(super) fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text).map_err(|error| error.to_string())?;
    match interval.subsec_nanos() {
        0 if !interval.is_zero() => Ok(interval),
        _ => Err("a run is divided into seconds: write 1s, or 10s".to_owned()),
    }
}
