//! Whole seconds for whoever watches: what was collected, by tag and with its time.

use std::time::{Duration, SystemTime};

use super::latencies::Latencies;
use super::recorder::Window;
use super::seconds::Collector;
use super::watch::{Interval, Tag, Watch};
use crate::load::clock::Clock;
use crate::load::config::quantile::Quantile;
use crate::load::config::{Config, Load};

pub(crate) struct Intervals {
    collector: Collector,
    window: Window,
    /// Those that there are in this run, the one that users feel first.
    tags: Vec<Tag>,
    run_start: SystemTime,
    second: u64,
    p99_ns: Option<u64>,
}

impl Intervals {
    /// The seconds of a run that started at this time.
    pub(crate) fn new(
        collector: Collector,
        window: Window,
        config: &Config,
        run_start: SystemTime,
    ) -> Self {
        let is_of_run = |tag: &Tag| match tag {
            Tag::Service | Tag::Hiccup => true,
            Tag::Response | Tag::SendLag => config.load != Load::Closed,
            Tag::Connect | Tag::Close => config.reconnect.is_some(),
        };
        Self {
            collector,
            window,
            tags: Tag::ALL.into_iter().filter(is_of_run).collect(),
            run_start,
            second: 0,
            p99_ns: None,
        }
    }

    /// Returns whether one more second is over.
    pub(crate) fn is_due(&mut self, now_ns: u64) -> bool {
        let second = self.collector.second_at(now_ns);
        std::mem::replace(&mut self.second, second) < second
    }

    /// The measured window ends at this time, earlier than was planned.
    pub(crate) fn end_at(&mut self, end_ns: u64) {
        self.window.end_ns = end_ns;
    }

    /// The 99th percentile of the second that was shown last, if it had enough samples.
    pub(crate) fn p99_ns(&self) -> Option<u64> {
        self.p99_ns
    }

    /// Shows every second that is complete. The clock is read behind what was sent, by threads whose
    /// second was over then.
    pub(crate) fn show(&mut self, clock: Clock, watch: &mut dyn Watch) {
        let Self { collector, window, tags, run_start, p99_ns, .. } = self;
        collector.collect(&mut |time_ns, second| {
            let start_ns = time_ns.start;
            if start_ns >= window.end_ns && second.is_empty() {
                return;
            }
            *p99_ns = Quantile::P99.of(second.of(tags[0]));
            let start = *run_start + Duration::from_nanos(start_ns);
            // The last second ends with the run.
            let end_ns = time_ns.end.min(clock.now_ns());
            let duration = Duration::from_nanos(end_ns.saturating_sub(start_ns));
            for tag in tags.iter().copied() {
                watch.interval(&Interval { tag, start, duration, latencies: second.of(tag) });
            }
        });
    }

    pub(crate) fn into_total(self) -> Latencies {
        self.collector.into_total()
    }
}
