//! Records and evidence, and what the verdict says of them.

mod of_host;

use std::time::{Duration, SystemTime};

use super::*;
use crate::load::config::assertion::{Comparison, Metric};
use crate::load::config::part::Part;
use crate::load::config::{Arrival, Target};
use crate::load::record::ending::Ending;
use crate::load::record::failure::Failure;
use crate::load::record::host::ClockState;
use crate::load::record::quotas::UsedUp;
use crate::load::record::recorder::{Sent, Window};
use crate::load::record::server_view::{Hidden, ServerView};
use crate::load::record::usage::Usage;
use crate::load::record::waits::Waited;

const WINDOW: Window = Window { start_ns: 0, end_ns: 1_000_000_000 };
const RATE: u64 = 1000;
const MS: u64 = 1_000_000;

/// An open loop of a second without a warm-up.
fn open() -> Config {
    Config {
        load: Load::at_rate(RATE),
        depth: 8,
        warmup: Duration::ZERO,
        duration: Duration::from_nanos(WINDOW.length_ns()),
        ..Config::new(Target::at(([127, 0, 0, 1], 7).into()))
    }
}

fn closed() -> Config {
    Config { load: Load::Closed, ..open() }
}

fn calm() -> Evidence {
    Evidence {
        window: WINDOW,
        was_interrupted: false,
        gone_after_ns: None,
        backlogs: vec![],
        busiest: 0.2,
        usage: usage(0.3, 0.01),
        server: ServerView { threads: Err(Hidden::ThisProcess), cpus: vec![0] },
        server_waited: None,
        generator_foreign_share: 0.0,
        generator_cpus: vec![1],
        clock: Some(ClockState { synchronised: true, max_error_ns: 0 }),
        used_up: None,
    }
}

/// Shares of the time that the generator ran, and waited for a CPU.
fn usage(ran: f64, waited: f64) -> Usage {
    Usage { ran_share: Some(ran), waited_share: Some(waited), ..Usage::default() }
}

/// The first so many messages of an open loop, of which message `i` is sent `lag_ns(i)` after its
/// time, waiting for a slot if told so, and answered `service_ns(i)` after that.
fn messages(
    messages: u64,
    lag_ns: impl Fn(u64) -> u64,
    waited_for_room: bool,
    service_ns: impl Fn(u64) -> u64,
) -> Recorder {
    let mut recorder = Recorder::new(WINDOW, true);
    recorder.totals.sent = messages;
    for message in 0..messages {
        let intended_ns = message * 1_000_000_000 / RATE;
        let sent_ns = intended_ns + lag_ns(message);
        recorder.intend(intended_ns, 1);
        let sent = Sent { intended_ns, sent_ns, bytes: 64, waited_for_room };
        recorder.receive(sent, sent_ns + service_ns(message));
    }
    recorder
}

/// A second whose messages are all sent on time.
fn punctual(service_ns: impl Fn(u64) -> u64) -> Recorder {
    messages(RATE, |_| 0, false, service_ns)
}

/// A second that is sent late by so much, and answered at once.
fn late(lag_ns: impl Fn(u64) -> u64) -> Recorder {
    messages(RATE, lag_ns, false, |_| 50_000)
}

fn at_once() -> Recorder {
    punctual(|_| 50_000)
}

/// The verdict's word, its reasons, and after them its warnings.
fn said(config: &Config, recorder: &Recorder, evidence: &Evidence) -> String {
    let verdict = judge(config, recorder, evidence);
    assert_eq!(verdict.is_valid(), verdict.reasons.is_empty(), "{verdict:?}");
    let (word, reasons) = (verdict.outcome.verdict(), verdict.reasons.join("; "));
    format!("{word} {reasons}! {}", verdict.warnings.join("; "))
}

const CALM: &str = "VALID ! ";

#[test]
fn a_calm_run_is_valid() {
    let verdict = judge(&open(), &late(|_| 1_000), &calm());
    let expected = Verdict {
        reasons: vec![],
        warnings: vec![],
        is_rate_reached: true,
        outcome: Outcome::Passed,
        generator_fault: None,
    };
    assert_eq!(verdict, expected);
}

#[test]
fn what_is_missing_or_wrong_is_counted() {
    type Spoil = fn(&mut Recorder);
    let cases: [(Spoil, &str); 5] = [
        (|run| run.totals.lost = 1, "INVALID 1 of 1,000 messages sent were lost"),
        (|run| run.totals.corrupted = 2, "INVALID 2 of 1,000 replies were corrupted"),
        (|run| run.totals.unsent = 3, "INVALID 3 of 1,000 intended messages"),
        (|run| run.end(Ending::Reset), "INVALID 1 connection reset by the server!"),
        (
            |run| run.fail_to_connect(Failure::TimedOut, 4),
            "INVALID 4 of 4 connections could not be made: no handshake completed for 5 s!",
        ),
    ];
    for (spoil, words) in cases {
        let mut recorder = at_once();
        spoil(&mut recorder);
        let said = said(&open(), &recorder, &calm());
        assert!(said.starts_with(words), "{words}: {said}");
    }
}

#[test]
fn what_this_host_lacks_is_not_the_servers_fault() {
    let mut recorder = at_once();
    recorder.fail_to_connect(Failure::Errno(libc::ECONNREFUSED), 1);
    assert_eq!(judge(&open(), &recorder, &calm()).generator_fault, None);
    recorder.fail_to_connect(Failure::Errno(libc::EADDRNOTAVAIL), 1);
    let verdict = judge(&open(), &recorder, &calm());
    let fault = verdict.generator_fault.unwrap();
    assert!(fault.contains("all local ports to the target are in use"), "{fault}");
    assert_eq!(verdict.outcome, Outcome::ServerAtFault, "a connection was refused as well");

    let mut recorder = messages(RATE / 2, |_| 0, false, |_| 50_000);
    recorder.fail_to_connect(Failure::Errno(libc::EMFILE), 9);
    recorder.totals.unsent = RATE / 2;
    assert_eq!(judge(&open(), &recorder, &calm()).outcome, Outcome::HostAtFault);
    recorder.totals.corrupted = 1;
    assert_eq!(judge(&open(), &recorder, &calm()).outcome, Outcome::ServerAtFault);
}

#[test]
fn a_server_that_falls_behind_does_not_reach_the_rate() {
    let behind = |percent: u64| move |message: u64| MS + message * 10_000 * percent;
    let stalled = |message: u64| if (300..600).contains(&message) { 600 - message } else { 0 };
    let cases = [
        // Each reply takes 1.02 ms, one after the other, where 1 ms is offered.
        (punctual(behind(2)), "INVALID the rate was not reached: 98."),
        (punctual(behind(0)), CALM),
        // A long way is not falling behind, nor is a stall that is over.
        (punctual(|_| 300 * MS), CALM),
        (punctual(|message| 50_000 + stalled(message) * MS), CALM),
        (punctual(behind(20)), "lower --rate or give the server more! "),
        (
            messages(RATE, |_| 0, true, behind(20)),
            "the limit is --depth: most messages waited until fewer than 8",
        ),
    ];
    for (recorder, words) in cases {
        let said = said(&open(), &recorder, &calm());
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn the_queue_of_a_warm_up_is_no_long_way() {
    // A server of 500 a second is offered 1000.
    for warmup_ms in [0, 100, 1000, 3000] {
        let start_ns = warmup_ms * MS;
        let window = Window { start_ns, end_ns: start_ns + WINDOW.length_ns() };
        let mut recorder = Recorder::new(window, true);
        for message in 0..warmup_ms + 1000 {
            let intended_ns = message * MS;
            recorder.intend(intended_ns, 1);
            let sent =
                Sent { intended_ns, sent_ns: intended_ns, bytes: 64, waited_for_room: false };
            recorder.receive(sent, (message + 1) * 2 * MS);
        }
        let config = Config { warmup: Duration::from_millis(warmup_ms), ..open() };
        let said = said(&config, &recorder, &calm());
        assert!(said.starts_with("INVALID the rate was not reached: 50"), "{warmup_ms}: {said}");
        assert!(recorder.answered_in_window().abs_diff(500) <= 1, "{warmup_ms}");
    }
}

#[test]
fn what_a_warm_up_left_on_the_way_and_chance_make_up_for_what_is_on_the_way_at_the_end() {
    let poisson = Load::Open { rate: RATE, arrival: Arrival::Poisson };
    // 300 ms on the way at 1000/s: 300 late and 300 early ones are expected, by chance 17 less.
    for (load, early, late, words) in [
        (Load::at_rate(RATE), 300, 300, CALM),
        (Load::at_rate(RATE), 280, 300, "INVALID the rate was not reached: 98"),
        (poisson, 283, 300, CALM),
        (poisson, 283, 400, "INVALID the rate was not reached"),
    ] {
        let mut recorder = punctual(|_| 300 * MS);
        (recorder.early, recorder.late) = (early, late);
        let warm = Config { load, warmup: open().duration, ..open() };
        let said = said(&warm, &recorder, &calm());
        assert!(said.starts_with(words), "{early} {late}: {said}");
    }
}

#[test]
fn on_the_way_to_a_part_is_what_its_own_rate_explains() {
    // 300 of the part's 1000/s are on the way at the end, and 400 are late; of all parts' 4000/s it
    // would be 1200.
    let mut recorder = punctual(|_| 300 * MS);
    recorder.late = 400;
    let load = Load::at_rate(4 * RATE);
    let part = Config { part: Some(Part { index: 1, of: 4 }), load, ..open() };
    let said = said(&part, &recorder, &calm());
    assert!(said.starts_with("INVALID the rate was not reached: 90"), "{said}");
}

#[test]
fn a_standing_queue_is_no_chance() {
    // 3 ms on the way; 100 messages in a queue at the window's beginning, 140 at its end.
    let mut recorder = punctual(|message| if message < 860 { 3 * MS } else { 150 * MS });
    recorder.early = recorder.late - 40;
    let load = Load::Open { rate: RATE, arrival: Arrival::Poisson };
    let said = said(&Config { load, warmup: open().duration, ..open() }, &recorder, &calm());
    assert!(said.starts_with("INVALID the rate was not reached: 96"), "{said}");
}

#[test]
fn a_backlog_that_grows_all_through_the_window_is_not_valid_however_slowly() {
    let grows = "INVALID the rate was not reached: the backlog grew all through the window; 3 mess";
    for (backlogs, words) in [
        ([3, 5, 6, 8, 9, 11, 13], grows),
        ([3, 5, 6, 8, 9, 11, 12], CALM),
        ([9, 5, 6, 8, 9, 11, 13], CALM),
        ([0, 0, 0, 0, 0, 0, 90], CALM),
    ] {
        let evidence = Evidence { backlogs: backlogs.to_vec(), ..calm() };
        let said = said(&open(), &at_once(), &evidence);
        assert!(said.starts_with(words), "{backlogs:?}: {said}");
        assert_eq!(judge(&open(), &at_once(), &evidence).is_rate_reached, words == CALM);
    }
}

#[test]
fn lag_counts_against_the_generator_where_it_decides_a_percentile() {
    let every = |messages: u64, lag_ns: u64| {
        move |message: u64| if message.is_multiple_of(messages) { lag_ns } else { 0 }
    };
    let stall = |message: u64| if message < 8 { (8 - message) * MS } else { 0 };
    let slow = |message: u64| if message % 50 == 2 { 10 * MS } else { 50_000 };
    let of_p99 = "INVALID generator lag inflates the p99 response: 140 µs measured, 50.0 µs";
    let of_median = "INVALID generator lag inflates the median response: ";
    let cases = [
        (late(every(50, 90_000)), of_p99),
        // While no slot was free it is the server's.
        (messages(RATE, every(50, 90_000), true, |_| 50_000), CALM),
        // The p99 is the server's, although the generator's own p99 lag is 3 ms.
        (messages(RATE, every(50, 3 * MS), false, slow), CALM),
        // One stall of 8 ms in a second, half of it late sends; and many of them.
        (late(stall), CALM),
        (late(|message| stall(message % 100)), "p99 response: "),
        (late(|_| 40_000), "the median response: 90.0 µs measured, 50.0 µs without it"),
        // One late message among few decides nothing that is told.
        (messages(50, |message| if message == 7 { 9 * MS } else { 0 }, false, |_| 50_000), CALM),
        (messages(50, |_| 9 * MS, false, |_| 50_000), of_median),
    ];
    for (recorder, words) in cases {
        let said = said(&open(), &recorder, &calm());
        assert!(said.contains(words), "{words}: {said}");
    }
    let outcome = judge(&open(), &late(|_| 9 * MS), &calm()).outcome;
    assert_eq!(outcome, Outcome::GeneratorLimited);
}

#[test]
fn what_the_machine_makes_any_thread_late_is_excused_at_the_p99_and_told() {
    for (late_ns, stalls_ns, words) in [
        (190_000, 100_000, "VALID ! generator lag inflates the tail: p99 response 240 µs measured"),
        (210_000, 100_000, "INVALID generator lag inflates the p99 response"),
        (1_100_000, 9_000_000, "INVALID generator lag inflates the p99 response"),
    ] {
        let mut recorder = late(|message| if message % 50 == 0 { late_ns } else { 0 });
        recorder.latencies.hiccup.record_n(stalls_ns, 1000).unwrap();
        let said = said(&open(), &recorder, &calm());
        assert!(said.starts_with(words), "{late_ns} {stalls_ns}: {said}");
    }
    let tail = || late(|message| if message % 500 == 7 { 9 * MS } else { 0 });
    let mut recorder = tail();
    // Ten samples beyond the p99.9 are needed: ten thousand and more, as many runs make.
    (0..11).for_each(|_| recorder.merge(&tail()));
    let said = said(&open(), &recorder, &calm());
    let words = "VALID ! generator lag inflates the tail: p99.9 response 9.05 ms measured, 50.0 µs";
    assert!(said.starts_with(words), "{said}");
}

#[test]
fn what_the_generator_lacked_is_told() {
    let starved = || Evidence { usage: usage(0.3, 0.5), ..calm() };
    let busy = || Evidence { busiest: 0.95, ..calm() };
    let limited = |usage| Evidence { usage, ..calm() };
    let throttled = |time_ms| {
        let quota = "0.2 CPUs (cpu.max)".to_owned();
        Evidence { used_up: Some(UsedUp { time_ns: time_ms * MS, times: 80, quota }), ..calm() }
    };
    let planned = Config { duration: Duration::from_secs(10), ..open() };
    for (config, evidence, words) in [
        (open(), busy(), "INVALID a generator thread was busy for 95 % of the time"),
        (closed(), busy(), CALM),
        (closed(), throttled(19), CALM),
        (closed(), throttled(50), "VALID ! the generator was not allowed to run for 5"),
        (
            closed(),
            throttled(640),
            "INVALID the generator was not allowed to run for 64 % of the time: its CPU quota, 0.2 \
             CPUs (cpu.max), was used up 80 times",
        ),
        (open(), starved(), "VALID ! the generator's threads waited for a CPU for 50 % of"),
        (
            open(),
            Evidence { used_up: throttled(19).used_up, ..starved() },
            "or the CPU quota, 0.2 CPUs (cpu.max), was used up; raise it",
        ),
        (closed(), limited(usage(0.9, 0.04)), CALM),
        (
            closed(),
            limited(usage(0.93, 0.04)),
            "VALID ! the generator was the limit: its threads had work for 97.0 % of",
        ),
        (closed(), limited(Usage::default()), CALM),
        (
            planned,
            Evidence { was_interrupted: true, ..calm() },
            "INCOMPLETE the run was interrupted: 1.00 s of 10.0 s were measured! ",
        ),
    ] {
        let said = said(&config, &at_once(), &evidence);
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn what_waited_since_before_the_window_is_told_where_it_is_the_longest() {
    let told = "VALID ! a message sent before the window was not answered for";
    for (longest_ms, service_ms, words) in [(90, 1, CALM), (200, 1, told), (200, 300, CALM)] {
        let mut recorder = punctual(|_| service_ms * MS);
        recorder.carried_over.max_ns = longest_ms * MS;
        let said = said(&open(), &recorder, &calm());
        assert!(said.starts_with(words), "{longest_ms} {service_ms}: {said}");
    }
}

#[test]
fn handshakes_and_closes_that_began_before_the_window_are_told_where_they_are_the_longest() {
    type Carry = fn(&mut Recorder, u64);
    let cases: [(Carry, &str); 2] = [
        (|run, ns| run.carried_connect_ns = ns, "VALID ! a handshake that began before the window"),
        (|run, ns| run.carried_close_ns = ns, "VALID ! a connection that was closed before the w"),
    ];
    for (carry, told) in cases {
        for (longest_ms, in_window_ms, words) in [(90, 1, CALM), (200, 1, told), (200, 300, CALM)] {
            let mut recorder = at_once();
            carry(&mut recorder, longest_ms * MS);
            recorder.latencies.connect.record(in_window_ms * MS).unwrap();
            recorder.latencies.close.record(in_window_ms * MS).unwrap();
            let said = said(&closed(), &recorder, &calm());
            assert!(said.starts_with(words), "{longest_ms} {in_window_ms}: {said}");
        }
    }
}

#[test]
fn an_assertion_that_only_the_generators_delays_miss_is_inconclusive_unless_another_is_missed() {
    // Upper bounds of the largest latency, which is 2 ms with the generator's delays, 1 ms without.
    let weighed = |bounds: &[u64], measured: Measured| {
        let mut verdict = judge(&open(), &late(|_| 1_000), &calm());
        let below = |limit: &u64| Assertion {
            name: format!("max<{limit}ns"),
            metric: Metric::Max,
            comparison: Comparison::Below,
            limit: *limit,
        };
        let assertions: Vec<_> = bounds.iter().map(below).collect();
        let missed = |assertion: &Assertion| AssertionResult {
            assertion: assertion.name.clone(),
            measured,
            met: false,
        };
        let results: Vec<_> = assertions.iter().map(missed).collect();
        let mut without_lag = Histogram::new(3).unwrap();
        without_lag.record(MS).unwrap();
        verdict.evaluate(&assertions, &results, Some(&without_lag));
        (verdict.is_valid(), verdict.outcome, verdict.reasons.concat())
    };
    let (is_valid, outcome, reason) = weighed(&[1_500_000], Measured::Ns(2 * MS));
    assert_eq!((is_valid, outcome), (false, Outcome::GeneratorLimited));
    assert!(reason.starts_with("max<1500000ns is inconclusive: it is missed, and would be"));
    let certain = weighed(&[1_500_000, 500_000], Measured::Ns(2 * MS));
    assert_eq!(certain, (true, Outcome::Missed, String::new()));
    let (is_valid, outcome, _) = weighed(&[500_000], Measured::Withheld);
    assert_eq!((is_valid, outcome), (false, Outcome::TooFewSamples));
}
