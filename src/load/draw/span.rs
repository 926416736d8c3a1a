//! Stretches of a run's time, and their points: no more of them than can be seen.

use std::time::Duration;

use crate::load::report::hlog::SLACK_SHARE;

/// A stretch of time, in nanoseconds since the run's first interval started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
}

impl Span {
    pub(super) fn length_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }

    /// A span that starts so much before its end, or after it, follows it.
    pub(super) fn slack_ns(&self) -> u64 {
        self.length_ns() / u64::from(SLACK_SHARE)
    }

    /// Returns whether there is a gap between the end of this span and a later one.
    pub(super) fn is_apart_from(&self, later: &Self) -> bool {
        let slack_ns = self.slack_ns().max(later.slack_ns());
        later.start_ns > self.end_ns.saturating_add(slack_ns)
    }

    pub(super) fn start_s(&self) -> f64 {
        Duration::from_nanos(self.start_ns).as_secs_f64()
    }

    pub(super) fn end_s(&self) -> f64 {
        Duration::from_nanos(self.end_ns).as_secs_f64()
    }

    pub(super) fn middle_s(&self) -> f64 {
        Duration::from_nanos(u64::midpoint(self.start_ns, self.end_ns)).as_secs_f64()
    }

    pub(super) fn length_s(&self) -> f64 {
        Duration::from_nanos(self.length_ns()).as_secs_f64()
    }

    /// Both, and what lies between.
    pub(super) fn joined(&self, later: &Self) -> Self {
        Self { start_ns: self.start_ns, end_ns: self.end_ns.max(later.end_ns) }
    }
}

/// Something that holds for a stretch of time.
pub(super) trait Stretch: Copy {
    fn span(&self) -> Span;

    /// The one that holds for both together.
    fn joined(&self, later: &Self) -> Self;
}

/// More points than a chart is wide in pixels could not be told apart, and would make it heavy.
const MAX_POINTS: usize = 640;

/// The points of a run, in the order of time. When they become too many, those that started within
/// the same few seconds are joined, so that a gap that can be seen stays one.
#[derive(Debug)]
pub(super) struct Thinned<T> {
    points: Vec<T>,
    /// Points that started within the same multiple of this are joined; 0 as long as none are.
    width_ns: u64,
}

impl<T> Default for Thinned<T> {
    fn default() -> Self {
        Self { points: Vec::new(), width_ns: 0 }
    }
}

impl<T: Stretch> Thinned<T> {
    pub(super) fn push(&mut self, point: T) {
        self.put(point);
        while self.points.len() >= MAX_POINTS {
            // Doubled, it comes to whole seconds.
            const FIRST_NS: u64 = 125_000_000;
            self.width_ns = (2 * self.width_ns).max(FIRST_NS);
            std::mem::take(&mut self.points).into_iter().for_each(|point| self.put(point));
        }
    }

    /// The points, and the time that each stands for where they were joined.
    pub(super) fn finish(self) -> (Vec<T>, Option<Duration>) {
        let width = (self.width_ns > 0).then(|| Duration::from_nanos(self.width_ns));
        (self.points, width)
    }

    fn put(&mut self, point: T) {
        let place = |point: &T| point.span().start_ns.checked_div(self.width_ns);
        match self.points.last_mut() {
            Some(last) if place(last).is_some() && place(last) == place(&point) => {
                *last = last.joined(&point);
            }
            _ => self.points.push(point),
        }
    }
}
