use std::time::Duration;

use super::*;
use crate::load::config::assertion::{Comparison, Metric};
use crate::load::config::{Arrival, Target};
use crate::load::record::ending::Ending;
use crate::load::record::failure::Failure;
use crate::load::record::recorder::{Sent, Window};
use crate::load::record::server_view::{Hidden, ServerView};
use crate::load::record::usage::Usage;
use crate::load::record::waits::Waited;

const WINDOW: Window = Window { start_ns: 0, end_ns: 1_000_000_000 };
const RATE: u64 = 1000;

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
        cpus_in_use: 1,
        shared_cpus: vec![],
        cpu_quota: None,
    }
}

/// Shares of the time that the generator ran, and waited for a CPU.
fn usage(ran: f64, waited: f64) -> Usage {
    Usage { ran_share: Some(ran), waited_share: Some(waited), ..Usage::default() }
}

/// The verdict on an open loop.
fn judged(recorder: &Recorder, evidence: &Evidence) -> Verdict {
    judge(&open(), recorder, evidence)
}

/// A second of open loop in which message `i` is sent `lag_ns(i)` after its time, waiting for
/// a slot if told so, and answered `service_ns(i)` after that.
fn open_loop(
    lag_ns: impl Fn(u64) -> u64,
    waited_for_room: bool,
    service_ns: impl Fn(u64) -> u64,
) -> Recorder {
    open_loop_of(RATE, lag_ns, waited_for_room, service_ns)
}

/// The verdict on the first so many messages.
fn open_loop_of(
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

fn only_reason(recorder: &Recorder, evidence: &Evidence) -> String {
    only_reason_of(&open(), recorder, evidence)
}

fn only_reason_of(config: &Config, recorder: &Recorder, evidence: &Evidence) -> String {
    let verdict = judge(config, recorder, evidence);
    assert!(!verdict.is_valid());
    let [reason] = verdict.reasons.as_slice() else { panic!("{verdict:?}") };
    reason.clone()
}

#[test]
fn a_calm_run_is_valid() {
    let recorder = open_loop(|_| 1_000, false, |_| 50_000);
    let expected = Verdict {
        reasons: vec![],
        warnings: vec![],
        is_rate_reached: true,
        outcome: Outcome::Passed,
        generator_fault: None,
    };
    assert_eq!(judged(&recorder, &calm()), expected);
}

#[test]
fn what_is_missing_or_wrong_is_counted() {
    let mut recorder = open_loop(|_| 0, false, |_| 50_000);
    recorder.totals.lost = 1;
    assert!(only_reason(&recorder, &calm()).starts_with("1 of 1,000 messages sent were lost"));
    recorder.totals.lost = 0;
    recorder.totals.corrupted = 2;
    assert!(only_reason(&recorder, &calm()).starts_with("2 of 1,000 replies were corrupted"));
    recorder.totals.corrupted = 0;
    recorder.totals.unsent = 3;
    assert!(only_reason(&recorder, &calm()).starts_with("3 of 1,000 intended messages"));
    recorder.totals.unsent = 0;
    recorder.end(Ending::Reset);
    assert_eq!(only_reason(&recorder, &calm()), "1 connection reset by the server");
    recorder.endings.clear();
    recorder.fail_to_connect(Failure::TimedOut, 4);
    assert_eq!(
        only_reason(&recorder, &calm()),
        "4 of 4 connections could not be made: no handshake completed for 5 s"
    );
}

#[test]
fn what_this_host_lacks_is_not_the_servers_fault() {
    let mut recorder = open_loop(|_| 0, false, |_| 50_000);
    recorder.fail_to_connect(Failure::Errno(libc::ECONNREFUSED), 1);
    assert_eq!(judged(&recorder, &calm()).generator_fault, None);
    recorder.fail_to_connect(Failure::Errno(libc::EADDRNOTAVAIL), 1);
    let fault = judged(&recorder, &calm()).generator_fault.unwrap();
    assert!(fault.contains("all local ports to the target are in use"), "{fault}");
}

#[test]
fn a_server_that_falls_behind_does_not_reach_the_rate() {
    // Each reply takes 1.02 ms, one after the other, where 1 ms is offered.
    let behind = |percent: u64| move |message: u64| 1_000_000 + message * 10_000 * percent;
    let recorder = open_loop(|_| 0, false, behind(2));
    assert!(only_reason(&recorder, &calm()).starts_with("the rate was not reached: 98."));
    let recorder = open_loop(|_| 0, false, behind(0));
    assert!(judged(&recorder, &calm()).is_valid());
}

/// A server of 500 a second that is offered 1000, from the beginning of a warm-up on: what it says
/// of the window after that.
fn overloaded(warmup_ms: u64) -> Recorder {
    let window = Window {
        start_ns: warmup_ms * 1_000_000,
        end_ns: warmup_ms * 1_000_000 + WINDOW.length_ns(),
    };
    let mut recorder = Recorder::new(window, true);
    for message in 0..warmup_ms + 1000 {
        let (intended_ns, answered_ns) = (message * 1_000_000, (message + 1) * 2_000_000);
        recorder.intend(intended_ns, 1);
        let sent = Sent { intended_ns, sent_ns: intended_ns, bytes: 64, waited_for_room: false };
        recorder.receive(sent, answered_ns);
    }
    recorder
}

#[test]
fn the_queue_of_a_warm_up_is_no_long_way() {
    for warmup_ms in [0, 100, 1000, 3000] {
        let recorder = overloaded(warmup_ms);
        let config = Config { warmup: Duration::from_millis(warmup_ms), ..open() };
        let reason = only_reason_of(&config, &recorder, &calm());
        assert!(reason.starts_with("the rate was not reached: 50"), "{warmup_ms}: {reason}");
        assert!(recorder.answered_in_window().abs_diff(500) <= 1, "{warmup_ms}");
    }
}

#[test]
fn a_long_way_after_a_warm_up_is_not_falling_behind() {
    let mut recorder = open_loop(|_| 0, false, |_| 300_000_000);
    // What the warm-up left on the way.
    recorder.early = 300;
    let warm = Config { warmup: open().duration, ..open() };
    assert!(judge(&warm, &recorder, &calm()).is_valid());
    recorder.early = 280;
    let reason = only_reason_of(&warm, &recorder, &calm());
    assert!(reason.starts_with("the rate was not reached: 98"));
}

#[test]
fn a_backlog_that_grows_all_through_the_window_is_not_valid_however_slowly() {
    let recorder = open_loop(|_| 0, false, |_| 50_000);
    let of = |backlogs: &[u64]| Evidence { backlogs: backlogs.to_vec(), ..calm() };
    let reason = only_reason(&recorder, &of(&[3, 5, 6, 8, 9, 11, 13]));
    assert!(reason.contains("the backlog grew all through the window; 3 messages were due"));
    assert!(!judged(&recorder, &of(&[3, 5, 6, 8, 9, 11, 13])).is_rate_reached);
    for steady in [&[3, 5, 6, 8, 9, 11, 12], &[9, 5, 6, 8, 9, 11, 13], &[0, 0, 0, 0, 0, 0, 90]] {
        assert!(judged(&recorder, &of(steady)).is_valid(), "{steady:?}");
    }
}

#[test]
fn depth_is_named_where_it_is_the_limit() {
    let behind = |message: u64| 1_000_000 + message * 200_000;
    let reason = only_reason(&open_loop(|_| 0, true, behind), &calm());
    assert!(reason.contains("the limit is --depth: most messages waited until fewer than 8"));
    let reason = only_reason(&open_loop(|_| 0, false, behind), &calm());
    assert!(reason.ends_with("lower --rate or give the server more"), "{reason}");
}

#[test]
fn a_long_way_is_not_falling_behind() {
    let recorder = open_loop(|_| 0, false, |_| 300_000_000);
    assert!(judged(&recorder, &calm()).is_valid(), "{:?}", judged(&recorder, &calm()));
}

#[test]
fn a_stall_that_is_over_is_in_the_latency_and_not_in_the_verdict() {
    let stalled = |message: u64| if (300..600).contains(&message) { 600 - message } else { 0 };
    let recorder = open_loop(|_| 0, false, |message| 50_000 + stalled(message) * 1_000_000);
    assert!(judged(&recorder, &calm()).is_valid());
    assert!(recorder.latencies.response.value_at_quantile(0.9) > 100_000_000);
}

#[test]
fn lag_counts_against_the_generator_only_while_a_slot_was_free() {
    let late = |message: u64| if message.is_multiple_of(50) { 90_000 } else { 0 };
    let own = open_loop(late, false, |_| 50_000);
    assert!(
        only_reason(&own, &calm())
            .contains("the p99 response: 140 µs measured, 50.0 µs without it")
    );
    let servers = open_loop(late, true, |_| 50_000);
    assert!(judged(&servers, &calm()).is_valid());
}

#[test]
fn an_interrupted_measurement_is_not_valid() {
    let recorder = open_loop(|_| 1_000, false, |_| 50_000);
    let cut = Evidence { was_interrupted: true, ..calm() };
    let planned = Config { duration: Duration::from_secs(10), ..open() };
    assert_eq!(
        only_reason_of(&planned, &recorder, &cut),
        "the run was interrupted: 1.00 s of 10.0 s were measured"
    );
}

#[test]
fn a_busy_generator_is_told() {
    let recorder = open_loop(|_| 0, false, |_| 50_000);
    let busy = Evidence { busiest: 0.95, ..calm() };
    assert!(only_reason(&recorder, &busy).contains("busy for 95 % of the time"));
    assert!(judge(&closed(), &recorder, &busy).is_valid());
}

#[test]
fn lateness_that_does_not_decide_a_percentile_is_not_held_against_it() {
    // Two in a hundred are answered after 10 ms, two others are sent 3 ms late: the p99 is the
    // server's, although the generator's own p99 lag is 3 ms.
    let late = |message: u64| if message % 50 == 1 { 3_000_000 } else { 1_000 };
    let slow = |message: u64| if message % 50 == 2 { 10_000_000 } else { 50_000 };
    let verdict = judged(&open_loop(late, false, slow), &calm());
    assert!(verdict.is_valid(), "{verdict:?}");
}

#[test]
fn a_stall_of_the_machine_is_not_held_against_a_run_whose_percentiles_it_does_not_reach() {
    // One stall of 8 ms in a second, half of it late sends; and many of them.
    let stalled = |message: u64| if message < 8 { (8 - message) * 1_000_000 } else { 0 };
    let verdict = judged(&open_loop(stalled, false, |_| 50_000), &calm());
    assert!(verdict.is_valid(), "{verdict:?}");
    let often = |message: u64| stalled(message % 100);
    let reason = only_reason(&open_loop(often, false, |_| 50_000), &calm());
    assert!(reason.contains("p99 response: ") && reason.contains("50.0 µs without it"), "{reason}");
}

#[test]
fn what_the_machine_makes_any_thread_late_is_excused_at_the_p99_and_told() {
    // Two in a hundred are sent late.
    let run = |late_ns: u64, stalls_ns: u64| {
        let late = |message: u64| if message.is_multiple_of(50) { late_ns } else { 0 };
        let mut recorder = open_loop(late, false, |_| 50_000);
        recorder.latencies.hiccup.record_n(stalls_ns, 1000).unwrap();
        recorder
    };
    let verdict = judged(&run(190_000, 100_000), &calm());
    assert!(verdict.is_valid(), "{verdict:?}");
    let [warning] = verdict.warnings.as_slice() else { panic!("{verdict:?}") };
    assert!(warning.contains("p99 response 240 µs measured, 50.0 µs without it"), "{warning}");
    assert!(only_reason(&run(210_000, 100_000), &calm()).contains("the p99 response"));
    assert!(only_reason(&run(1_100_000, 9_000_000), &calm()).contains("the p99 response"));
    assert!(
        only_reason(&open_loop(|_| 40_000, false, |_| 50_000), &calm()).contains("the median"),
        "no stall excuses what is late always"
    );
}

/// The verdict on upper bounds of the largest latency, in nanoseconds, that are all missed: 2 ms
/// with the generator's delays and 1 ms without.
fn weighed(bounds: &[u64], measured: Measured) -> Verdict {
    let mut verdict = judged(&open_loop(|_| 1_000, false, |_| 50_000), &calm());
    let assertions: Vec<_> = bounds
        .iter()
        .map(|limit| Assertion {
            name: format!("max<{limit}ns"),
            metric: Metric::Max,
            comparison: Comparison::Below,
            limit: *limit,
        })
        .collect();
    let missed = |assertion: &Assertion| AssertionResult {
        assertion: assertion.name.clone(),
        measured,
        met: false,
    };
    let findings: Vec<_> = assertions.iter().map(missed).collect();
    let mut without_lag = Histogram::new(3).unwrap();
    without_lag.record(1_000_000).unwrap();
    verdict.evaluate(&assertions, &findings, Some(&without_lag));
    verdict
}

#[test]
fn an_assertion_that_only_the_generators_delays_miss_cannot_be_told() {
    let verdict = weighed(&[1_500_000], Measured::Ns(2_000_000));
    let [reason] = verdict.reasons.as_slice() else { panic!("{verdict:?}") };
    assert!(reason.starts_with("max<1500000ns is inconclusive: it is missed, and would be"));
    assert_eq!(verdict.outcome, Outcome::GeneratorLimited);
}

#[test]
fn a_certain_miss_is_one_whatever_else_cannot_be_told() {
    let verdict = weighed(&[1_500_000, 500_000], Measured::Ns(2_000_000));
    assert_eq!((verdict.is_valid(), verdict.outcome), (true, Outcome::Missed), "{verdict:?}");
    let withheld = weighed(&[500_000], Measured::Withheld);
    assert_eq!((withheld.is_valid(), withheld.outcome), (false, Outcome::TooFewSamples));
}

#[test]
fn one_late_message_among_few_decides_nothing_that_is_told() {
    let late = |message: u64| if message == 7 { 9_000_000 } else { 0 };
    let few = open_loop_of(50, late, false, |_| 50_000);
    assert!(judged(&few, &calm()).is_valid(), "{:?}", judged(&few, &calm()));
    let always = open_loop_of(50, |_| 9_000_000, false, |_| 50_000);
    assert!(only_reason(&always, &calm()).contains("the median response"));
    assert_eq!(judged(&always, &calm()).outcome, Outcome::GeneratorLimited);
}

#[test]
fn a_generator_that_is_always_late_is_told_by_its_median() {
    let reason = only_reason(&open_loop(|_| 40_000, false, |_| 50_000), &calm());
    assert!(
        reason.contains("the median response: 90.0 µs measured, 50.0 µs without it"),
        "{reason}"
    );
}

#[test]
fn a_tail_that_is_the_generators_is_a_warning() {
    let late = |message: u64| if message % 500 == 7 { 9_000_000 } else { 0 };
    let mut recorder = open_loop(late, false, |_| 50_000);
    // Ten samples beyond the p99.9 are needed: ten thousand and more, as many runs make.
    for _ in 0..11 {
        recorder.merge(&open_loop(late, false, |_| 50_000));
    }
    let verdict = judged(&recorder, &calm());
    assert!(verdict.is_valid(), "{verdict:?}");
    let [warning] = verdict.warnings.as_slice() else { panic!("{verdict:?}") };
    assert!(warning.contains("p99.9 response 9.05 ms measured, 50.0 µs without it"), "{warning}");
}

#[test]
fn chance_at_the_ends_of_the_window_is_not_falling_behind() {
    // 300 ms on the way at 1000/s: 300 late and 300 early ones are expected, 17 more or less.
    let mut recorder = open_loop(|_| 0, false, |_| 300_000_000);
    recorder.early = recorder.late - 17;
    let poisson = Load::Open { rate: RATE, arrival: Arrival::Poisson };
    let by_chance = Config { load: poisson, warmup: open().duration, ..open() };
    assert!(judge(&by_chance, &recorder, &calm()).is_valid());
    recorder.late += 100;
    let reason = only_reason_of(&by_chance, &recorder, &calm());
    assert!(reason.starts_with("the rate was not reached"));
}

#[test]
fn a_generator_without_a_cpu_is_warned_of() {
    let recorder = open_loop(|_| 1_000, false, |_| 50_000);
    let starved = Evidence { usage: usage(0.3, 0.5), ..calm() };
    let verdict = judged(&recorder, &starved);
    assert!(verdict.is_valid());
    assert!(verdict.warnings[0].contains("waited for a CPU for 50 % of the time"));
    let limited = Evidence { cpu_quota: Some("the CPU quota of 1.5 CPUs".to_owned()), ..starved };
    let verdict = judged(&recorder, &limited);
    assert!(verdict.warnings[0].contains("or the CPU quota of 1.5 CPUs was used up; raise it"));
}

/// A server on CPU 0 one of whose threads waited for this share of the window, while they ran for
/// another, beside a generator on these CPUs.
fn waiting(share: f64, ran: f64, shared_cpus: &[usize]) -> Evidence {
    Evidence {
        server_waited: Some(Waited { share, longest_ns: 45_000_000, ran_ns: (ran * 1e9) as u64 }),
        shared_cpus: shared_cpus.to_vec(),
        ..calm()
    }
}

#[test]
fn a_server_that_waits_for_its_cpu_is_told_and_then_invalid() {
    let recorder = open_loop(|_| 0, false, |_| 50_000);
    assert!(judged(&recorder, &waiting(0.019, 0.1, &[])).warnings.is_empty());
    let verdict = judged(&recorder, &waiting(0.03, 0.1, &[]));
    assert!(verdict.is_valid());
    assert!(verdict.warnings[0].starts_with("the server waited 3"));
    let reason = only_reason(&recorder, &waiting(0.61, 0.2, &[]));
    assert!(reason.starts_with("the server waited 61 % of the time for CPU 0, once for 45.0 ms"));
    // A server of many threads that has its CPU to itself waits for nobody else.
    assert!(judged(&recorder, &waiting(0.61, 0.99, &[])).warnings.is_empty());
    // Nor does one whose CPU takes long to wake.
    let usage = Usage { server_idle_ns: Some(890_000_000), ..usage(0.3, 0.01) };
    let idle = Evidence { usage, ..waiting(0.61, 0.1, &[]) };
    assert!(judged(&recorder, &idle).warnings.is_empty());
}

#[test]
fn shared_cpus_are_named_before_what_comes_of_them() {
    let recorder = open_loop(|_| 0, false, |_| 50_000);
    let verdict = judged(&recorder, &waiting(0.0, 0.1, &[0]));
    assert!(verdict.is_valid());
    assert!(verdict.warnings[0].starts_with("the server and generator share CPU 0: "));
    let verdict = judged(&recorder, &waiting(0.5, 0.1, &[0]));
    let [first, second] = verdict.reasons.as_slice() else { panic!("{verdict:?}") };
    assert!(first.contains("generator share CPU 0") && second.contains("waited 50 %"));
    assert!(verdict.warnings.is_empty());
}

#[test]
fn what_cannot_be_known_of_a_server_is_told_with_the_remedy() {
    let recorder = open_loop(|_| 0, false, |_| 50_000);
    for (hidden, words) in [
        (Hidden::OtherHost, "it is on another host; compare /proc/PID/schedstat there"),
        (Hidden::OtherUser, "run ringback-load as that user or as root"),
    ] {
        let server = ServerView { threads: Err(hidden), cpus: vec![] };
        let verdict = judged(&recorder, &Evidence { server, ..calm() });
        assert!(verdict.is_valid());
        assert!(verdict.warnings[0].contains(words), "{verdict:?}");
    }
}

#[test]
fn stolen_time_is_told_and_then_invalid() {
    let recorder = open_loop(|_| 0, false, |_| 50_000);
    let stolen = |ms: u64| {
        let usage = Usage { stolen_in_use_ns: Some(ms * 1_000_000), ..usage(0.3, 0.01) };
        Evidence { usage, ..calm() }
    };
    assert!(judged(&recorder, &stolen(19)).warnings.is_empty());
    let verdict = judged(&recorder, &stolen(40));
    assert!(verdict.is_valid() && verdict.warnings[0].starts_with("the hypervisor ran something"));
    assert!(only_reason(&recorder, &stolen(110)).contains("for 11 % of the time"));
    // Two ticks of a short window are chance.
    let short = Evidence { window: Window { end_ns: 100_000_000, ..WINDOW }, ..stolen(20) };
    assert!(judged(&recorder, &short).is_valid());
}

#[test]
fn a_generator_that_stood_still_is_not_valid() {
    // A second, of which a stall of 10 ms and so many milliseconds has its part.
    let stalled = |ms: u64| {
        let mut recorder = open_loop(|_| 0, false, |_| 50_000);
        recorder.latencies.hiccup.record_n(50_000, 1000 - 10 - ms).unwrap();
        recorder.latencies.hiccup.record_correct((10 + ms) * 1_000_000, 1_000_000).unwrap();
        recorder
    };
    assert!(judge(&closed(), &stalled(5), &calm()).warnings.is_empty());
    let verdict = judge(&closed(), &stalled(50), &calm());
    assert!(verdict.is_valid() && verdict.warnings[0].starts_with("the generator stood still"));
    let reason = only_reason_of(&closed(), &stalled(300), &calm());
    assert!(reason.starts_with("the generator stood still for 30"), "{reason}");
}

#[test]
fn what_waited_since_before_the_window_is_told_where_it_is_the_longest() {
    let mut recorder = open_loop(|_| 0, false, |_| 50_000);
    recorder.carried_over.max_ns = 90_000_000;
    assert!(judged(&recorder, &calm()).warnings.is_empty(), "less than a tenth of the window");
    recorder.carried_over.max_ns = 200_000_000;
    let verdict = judged(&recorder, &calm());
    assert!(
        verdict.warnings[0].starts_with("a message sent before the window was not answered for")
    );
    let slow = open_loop(|_| 0, false, |_| 300_000_000);
    recorder.merge(&slow);
    assert!(!judged(&recorder, &calm()).warnings.iter().any(|warning| warning.contains("before")));
}

#[test]
fn a_closed_loop_says_when_the_generator_was_the_limit() {
    let recorder = open_loop(|_| 0, false, |_| 50_000);
    let of = |usage| judge(&closed(), &recorder, &Evidence { usage, ..calm() });
    assert!(of(usage(0.9, 0.04)).warnings.is_empty());
    let verdict = of(usage(0.93, 0.04));
    assert!(verdict.is_valid());
    assert!(verdict.warnings[0].starts_with("the generator was the limit: its threads had work"));
    assert!(verdict.warnings[0].contains("for 97.0 % of"), "{verdict:?}");
    assert!(of(Usage::default()).warnings.is_empty());
}
