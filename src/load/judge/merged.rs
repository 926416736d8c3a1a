//! The verdict on runs whose logs were added up: parts of one run, or runs of their own.
//!
//! Parts are one measurement if all of them are there, once each, valid, and at the same time.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::host::doubt_of_clock;
use super::warnings::summarised;
use crate::load::clock;
use crate::load::config::part::Part;
use crate::load::format::{count, counted, nanos, percent};
use crate::load::outcome::Outcome;
use crate::load::record::host::ClockState;

/// The parts' windows must have so much of their time in common.
const MIN_OVERLAP: f64 = 0.95;

/// One run whose log was added to others'.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contribution {
    /// The name of its log; empty where the caller gave none.
    pub(crate) log: String,
    pub(crate) part: Option<Part>,
    /// `None` where the log does not say.
    pub(crate) outcome: Option<Outcome>,
    /// A sentence for each thing that is wrong with it.
    pub(crate) reasons: Vec<String>,
    /// A sentence for each thing that a reader should know although it is valid.
    pub(crate) warnings: Vec<String>,
    /// The cause, where nothing was measured.
    pub(crate) failure: Option<String>,
    /// When its window started, and how long it was.
    pub(crate) window: Option<(SystemTime, Duration)>,
    /// How its host kept the time of day, where the log says.
    pub(crate) clock: Option<ClockState>,
}

/// The verdict on all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MergedVerdict {
    pub(crate) outcome: Outcome,
    pub(crate) reasons: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Evaluates what the logs say of their runs.
pub(crate) fn judge(runs: &[Contribution]) -> MergedVerdict {
    let flaws: Vec<String> =
        [absent(runs), repeated(runs), without_result(runs), apart(runs).into_iter().collect()]
            .concat();
    let is_whole = flaws.is_empty();
    let invalid = runs.iter().flat_map(Contribution::flaws);
    let outcomes = runs.iter().map(|run| run.outcome.unwrap_or(Outcome::Unknown));
    let outcome = outcomes.chain((!is_whole).then_some(Outcome::NotWhole)).reduce(worst);
    MergedVerdict {
        outcome: outcome.unwrap_or(Outcome::Unknown),
        reasons: flaws.into_iter().chain(invalid).collect(),
        warnings: warnings(runs),
    }
}

/// The worse of two outcomes, which is that of both together.
pub(crate) fn worst(one: Outcome, other: Outcome) -> Outcome {
    if rank(one) <= rank(other) { one } else { other }
}

/// From the worst on. A run that was interrupted is incomplete whatever else is wrong with it, and so
/// is what it is a part of.
fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Incomplete => 0,
        Outcome::NotWhole => 1,
        Outcome::ServerAtFault => 2,
        Outcome::HostAtFault => 3,
        Outcome::GeneratorLimited => 4,
        Outcome::TooFewSamples => 5,
        Outcome::Unknown => 6,
        Outcome::Inconclusive => 7,
        Outcome::Missed => 8,
        Outcome::Passed => 9,
    }
}

impl Contribution {
    /// The run, as a message calls it.
    fn name(&self) -> String {
        match (self.part, self.log.as_str()) {
            (Some(part), "") => format!("part {part}"),
            (Some(part), log) => format!("part {part} ({log})"),
            (None, "") => "the log".to_owned(),
            (None, log) => log.to_owned(),
        }
    }

    /// The reasons for which the run is not valid; one that was interrupted says so itself.
    fn flaws(&self) -> impl Iterator<Item = String> {
        let is_invalid = self.outcome.is_some_and(Outcome::is_invalid);
        let reasons = self.reasons.iter().filter(move |_| is_invalid);
        reasons.map(|reason| format!("{} is INVALID: {reason}", self.name()))
    }
}

/// The runs that are parts, by their number.
fn by_number(runs: &[Contribution]) -> BTreeMap<usize, Vec<&Contribution>> {
    let mut by_number: BTreeMap<usize, Vec<&Contribution>> = BTreeMap::new();
    for run in runs {
        if let Some(Part { index, .. }) = run.part {
            by_number.entry(index).or_default().push(run);
        }
    }
    by_number
}

fn absent(runs: &[Contribution]) -> Vec<String> {
    /// More are counted, not listed.
    const MAX_LISTED: usize = 8;
    let there = by_number(runs);
    let of = runs.iter().filter_map(|run| run.part).map(|part| part.of).max().unwrap_or(0);
    let absent = || (0..of).filter(|index| !there.contains_key(index));
    let all = absent().count();
    if all == 0 {
        return Vec::new();
    }
    let listed: Vec<String> =
        absent().take(MAX_LISTED).map(|index| Part { index, of }.to_string()).collect();
    let more = match all - listed.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (parts, are) = if all == 1 { ("part", "is") } else { ("parts", "are") };
    vec![format!(
        "{parts} {}{more} {are} missing: no log of it was named; name the logs of all parts, and \
         see why one left none",
        listed.join(", "),
    )]
}

fn repeated(runs: &[Contribution]) -> Vec<String> {
    let repeated = by_number(runs).into_values().filter(|same| same.len() > 1);
    let text = |same: Vec<&Contribution>| {
        let part = same[0].part.expect("it is by its number");
        let logs: Vec<&str> = same.iter().map(|run| run.log.as_str()).collect();
        format!(
            "part {part} is there {} ({}): its messages count as often; name one log of each part",
            counted(same.len() as u64, "time"),
            logs.join(", "),
        )
    };
    repeated.map(text).collect()
}

fn without_result(runs: &[Contribution]) -> Vec<String> {
    let parts = runs.iter().filter(|run| run.part.is_some() && run.outcome.is_none());
    let text = |run: &Contribution| match &run.failure {
        Some(why) => format!("{} measured nothing: {why}", run.name()),
        None => format!(
            "{} has no result: it was killed, or is not over; see what it said on standard error",
            run.name()
        ),
    };
    parts.map(text).collect()
}

/// Parts that did not load the server at the same time.
fn apart(runs: &[Contribution]) -> Option<String> {
    // The window of one that was interrupted is shorter than the others'.
    let is_whole =
        |run: &&Contribution| run.part.is_some() && run.outcome != Some(Outcome::Incomplete);
    let whole = runs.iter().filter(is_whole);
    let windows: Vec<_> = whole.filter_map(|run| Some((run, run.window?))).collect();
    let (first, (start, _)) = windows.iter().min_by_key(|(_, (start, _))| *start)?;
    let (last, (last_start, _)) = windows.iter().max_by_key(|(_, (start, _))| *start)?;
    let longest = windows.iter().map(|(_, (_, length))| length).max()?;
    let end = windows.iter().map(|(_, (start, length))| *start + *length).min()?;
    let common = end.duration_since(*last_start).unwrap_or_default();
    let share = common.as_secs_f64() / longest.as_secs_f64();
    (share < MIN_OVERLAP).then(|| {
        let later = last_start.duration_since(*start).unwrap_or_default();
        format!(
            "the parts' windows have {} of their time in common, at least {} they must: {} started \
             {} after {}; give all parts the same --start-at, on hosts whose clocks are \
             synchronised",
            percent(share),
            percent(MIN_OVERLAP),
            last.name(),
            nanos(clock::nanos(later)),
            first.name(),
        )
    })
}

fn warnings(runs: &[Contribution]) -> Vec<String> {
    // Of a run without a window that is told.
    let timed = runs.iter().filter(|run| run.part.is_some() && run.window.is_some());
    let untimed = timed.filter_map(|run| {
        doubt_of_clock(run.clock, &format!("the clock of the host of {}", run.name()))
    });
    let missed = runs.iter().filter(|run| run.outcome == Some(Outcome::Missed));
    let missed =
        missed.map(|run| format!("{} missed an assertion: see its own report", run.name()));
    let silent = runs.iter().filter(|run| run.part.is_none() && run.outcome.is_none());
    let silent = silent.map(|run| {
        format!(
            "{} does not say whether its run was valid: another tool or an older version wrote it, \
             or its run was killed; see the report of that run",
            run.name()
        )
    });
    let valid: Vec<&Contribution> =
        runs.iter().filter(|run| run.outcome.is_some_and(Outcome::is_valid)).collect();
    let own: Vec<&[String]> = valid.iter().map(|run| run.warnings.as_slice()).collect();
    untimed.chain(missed).chain(silent).chain(summarised(&own)).collect()
}

/// Bytes in both directions, as one side counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// The server and all generators together count differently.
pub(crate) fn disagreement(server: Bytes, generators: Bytes) -> Option<String> {
    let has_all = server.received == generators.sent && server.sent == generators.received;
    (!has_all).then(|| {
        let [received, sent] = [server.received, server.sent].map(count);
        let [by_others, of_others] = [generators.sent, generators.received].map(count);
        format!(
            "the server received {received} bytes where the generators sent {by_others}, and sent \
             {sent} where they received {of_others}: a log is missing, or others used the server \
             between the scrapes; scrape it when nobody else does, right before and after the run",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const KEPT: Option<ClockState> = Some(ClockState { synchronised: true, max_error_ns: 0 });

    /// A part whose window of ten seconds starts so many milliseconds after that of others.
    fn part(index: usize, of: usize, offset_ms: u64) -> Contribution {
        let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + offset_ms);
        Contribution {
            log: format!("{index}.hlog"),
            part: Some(Part { index, of }),
            outcome: Some(Outcome::Passed),
            window: Some((start, 10 * SECOND)),
            clock: KEPT,
            ..Contribution::default()
        }
    }

    fn run(log: &str, outcome: Option<Outcome>) -> Contribution {
        Contribution { part: None, outcome, log: log.to_owned(), ..part(0, 1, 0) }
    }

    fn with(change: impl FnOnce(&mut Vec<Contribution>)) -> Vec<Contribution> {
        let mut runs: Vec<_> = (0..3).map(|index| part(index, 3, 0)).collect();
        change(&mut runs);
        runs
    }

    fn said(runs: &[Contribution]) -> String {
        let MergedVerdict { outcome, reasons, warnings } = judge(runs);
        format!("{outcome:?} {}! {}", reasons.join("; "), warnings.join("; "))
    }

    #[test]
    fn parts_are_whole_once_there_valid_and_at_one_time() {
        let incomplete = Some(Outcome::Incomplete);
        let lost = || vec!["1 of 9 messages sent were lost".to_owned()];
        for (runs, words) in [
            (with(|_| ()), "Passed ! "),
            (with(|runs| drop(runs.remove(1))), "NotWhole part 1/3 is missing: no log of it"),
            (with(|runs| runs.truncate(1)), "NotWhole parts 1/3, 2/3 are missing: "),
            (vec![part(7, 12, 0)], "5/12, 6/12, 8/12 and 3 more are missing"),
            (
                with(|runs| runs[2] = Contribution { log: "x".to_owned(), ..part(1, 3, 0) }),
                "part 1/3 is there 2 times (1.hlog, x): its messages count as often; name one",
            ),
            (
                with(|runs| runs[1].outcome = None),
                "NotWhole part 1/3 (1.hlog) has no result: it was killed, or is not over; see",
            ),
            (
                with(|runs| (runs[1].outcome, runs[1].failure) = (None, Some("late".to_owned()))),
                "NotWhole part 1/3 (1.hlog) measured nothing: late",
            ),
            (
                with(|runs| {
                    (runs[1].outcome, runs[1].reasons) = (Some(Outcome::ServerAtFault), lost());
                }),
                "ServerAtFault part 1/3 (1.hlog) is INVALID: 1 of 9 messages sent were lost! ",
            ),
            (with(|runs| runs[1] = part(1, 3, 499)), "Passed ! "),
            (
                with(|runs| runs[1] = part(1, 3, 620)),
                "NotWhole the parts' windows have 93.8 % of their time in common, at least 95 % \
                 they must: part 1/3 (1.hlog) started 620 ms after part 0/3 (0.hlog); give all",
            ),
            (with(|runs| runs[0] = part(0, 3, 60_000)), "have 0 % of their time in common"),
            (with(|runs| runs[1].outcome = incomplete), "Incomplete ! "),
            (
                with(|runs| {
                    (runs[1].outcome, runs[1].window) = (incomplete, runs[0].window);
                    drop(runs.remove(2));
                }),
                "Incomplete part 2/3 is missing",
            ),
            (
                with(|runs| {
                    let free = ClockState { synchronised: false, max_error_ns: 0 };
                    runs[1].clock = Some(free);
                }),
                "Passed ! the clock of the host of part 1/3 (1.hlog) is not synchronised: its ",
            ),
            (
                with(|runs| runs[1].clock = None),
                "Passed ! whether the clock of the host of part 1/3 (1.hlog) is synchronised \
                 cannot be known",
            ),
            (
                with(|runs| runs[1].outcome = Some(Outcome::Missed)),
                "Missed ! part 1/3 (1.hlog) missed an assertion",
            ),
        ] {
            let said = said(&runs);
            assert!(said.contains(words), "{words}: {said}");
        }
    }

    #[test]
    fn what_one_side_sent_the_other_received() {
        let bytes = |received, sent| Bytes { received, sent };
        assert_eq!(disagreement(bytes(2000, 1000), bytes(1000, 2000)), None);
        let told = disagreement(bytes(2064, 2064), bytes(2000, 2000)).unwrap();
        let words = "the server received 2,064 bytes where the generators sent 2,000, and sent \
                     2,064 where they received 2,000: ";
        assert!(told.starts_with(words), "{told}");
        assert!(disagreement(bytes(2000, 1999), bytes(2000, 2000)).is_some());
    }

    #[test]
    fn runs_of_their_own_have_the_worst_verdict_among_them() {
        use Outcome::{HostAtFault, Incomplete, Missed, Passed, Unknown};
        for (outcomes, worst) in [
            ([Some(Passed), Some(Passed)], Passed),
            ([Some(Passed), Some(Missed)], Missed),
            ([Some(Missed), None], Unknown),
            ([None, Some(HostAtFault)], HostAtFault),
            ([Some(Incomplete), Some(HostAtFault)], Incomplete),
            ([None, None], Unknown),
        ] {
            let runs = outcomes.map(|outcome| run("log", outcome));
            assert_eq!(judge(&runs).outcome, worst, "{outcomes:?}");
        }
        let told = said(&[run("a", Some(Passed)), run("b", None)]);
        assert!(told.starts_with("Unknown ! b does not say whether its run was valid: "), "{told}");
        // They need not be at one time.
        let later = Contribution { window: part(0, 1, 60_000).window, ..run("b", Some(Passed)) };
        assert_eq!(judge(&[run("a", Some(Passed)), later]).outcome, Passed);
    }
}
