//! The rate of messages over time: the sum of the rates of all intervals that a moment lies in.

use super::span::{Span, Stretch, Thinned};
use super::timeline::Step;

/// Adds up the rates of intervals, which may overlap and are of any length.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// All steps end before.
    now_ns: u64,
    /// Intervals that have not ended yet.
    active: Vec<Active>,
    steps: Thinned<Step>,
}

#[derive(Debug)]
struct Active {
    span: Span,
    messages_per_s: f64,
}

impl Rates {
    /// An interval that starts no earlier than those before. Without a length it has no rate.
    pub(super) fn add(&mut self, span: Span, messages: u64) {
        if span.length_ns() == 0 {
            return;
        }
        let start_ns = self.without_slack(&span).clamp(self.now_ns, span.end_ns);
        self.advance(start_ns);
        let messages_per_s = messages as f64 / span.length_s();
        self.active.push(Active { span, messages_per_s });
    }

    /// Returns whether an interval may be what is left after the end of load: it follows one that
    /// is five times as long. Its length is when the last reply came, so that it has no rate.
    pub(super) fn may_be_left(&self, span: &Span) -> bool {
        const TIMES_SHORTER: u64 = 5;
        /// Logs round times to a millisecond, the start and the length each.
        const ROUNDING_NS: u64 = 2_000_000;
        let slack_ns = span.slack_ns().max(ROUNDING_NS);
        self.active.iter().map(|active| active.span).any(|before| {
            before.end_ns.abs_diff(span.start_ns) <= slack_ns
                && before.length_ns() / TIMES_SHORTER >= span.length_ns()
        })
    }

    pub(super) fn finish(mut self) -> Thinned<Step> {
        self.advance(u64::MAX);
        self.steps
    }

    /// Where an interval starts, which is where another ends if that is near: loggers are late, and
    /// round, and a moment of twice the rate or none would be theirs.
    fn without_slack(&self, span: &Span) -> u64 {
        /// Being late is common, being early is rounding.
        const TIMES_LATER: u64 = 5;
        let is_near = |ended: &Span| {
            let slack_ns = ended.slack_ns().min(span.slack_ns());
            let earlier_ns = ended.end_ns.saturating_sub(span.start_ns);
            let later_ns = span.start_ns.saturating_sub(ended.end_ns);
            earlier_ns <= slack_ns / TIMES_LATER && later_ns <= slack_ns
        };
        let near = self.active.iter().map(|active| active.span).filter(is_near);
        let nearest = near.min_by_key(|ended| ended.end_ns.abs_diff(span.start_ns));
        nearest.map_or(span.start_ns, |ended| ended.end_ns)
    }

    fn advance(&mut self, until_ns: u64) {
        while let Some(end_ns) = self.active.iter().map(|active| active.span.end_ns).min() {
            let end_ns = end_ns.min(until_ns);
            if end_ns > self.now_ns {
                let span = Span { start_ns: self.now_ns, end_ns };
                let messages_per_s = self.active.iter().map(|active| active.messages_per_s).sum();
                self.steps.push(Step { span, messages_per_s });
                self.now_ns = end_ns;
            }
            if end_ns == until_ns {
                break;
            }
            self.active.retain(|active| active.span.end_ns > end_ns);
        }
        self.now_ns = until_ns;
    }
}

impl Stretch for Step {
    fn span(&self) -> Span {
        self.span
    }

    fn joined(&self, later: &Self) -> Self {
        let span = self.span.joined(&later.span);
        let messages = |step: &Self| step.messages_per_s * step.span.length_s();
        let messages_per_s = (messages(self) + messages(later)) / span.length_s();
        Self { span, messages_per_s }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// The steps of intervals, each with its messages: start and end in milliseconds, and rate.
    fn steps(intervals: &[(u64, u64, u64)]) -> Vec<(u64, u64, u64)> {
        let mut rates = Rates::default();
        for (start_ms, end_ms, messages) in intervals {
            let span = Span { start_ns: start_ms * MS, end_ns: end_ms * MS };
            rates.add(span, *messages);
        }
        let rounded = |step: Step| {
            let Span { start_ns, end_ns } = step.span;
            (start_ns / MS, end_ns / MS, step.messages_per_s.round() as u64)
        };
        rates.finish().finish().0.into_iter().map(rounded).collect()
    }

    #[test]
    fn a_moment_has_the_rates_of_all_intervals_that_it_lies_in() {
        let apart = [(0, 1000, 5), (3000, 4000, 7), (4000, 4000, 100), (9000, 9500, 5)];
        assert_eq!(steps(&apart), [(0, 1000, 5), (3000, 4000, 7), (9000, 9500, 10)]);
        let by_parts = [(0, 1000, 1000), (900, 1900, 1000), (1900, 2900, 10)];
        let expected = [(0, 900, 1000), (900, 1000, 2000), (1000, 1900, 1000), (1900, 2900, 10)];
        assert_eq!(steps(&by_parts), expected);
        let inside = [(0, 10_000, 10_000), (0, 500, 500), (500, 1000, 1000)];
        assert_eq!(steps(&inside), [(0, 500, 2000), (500, 1000, 3000), (1000, 10_000, 1000)]);
        // Loggers that are late or round leave no spikes.
        let late = [(0, 1001, 1001), (1000, 2003, 1003), (2010, 3010, 1000)];
        let rates: Vec<u64> = steps(&late).into_iter().map(|(.., rate)| rate).collect();
        assert_eq!(rates, [1000, 1000, 1000]);
    }
}
