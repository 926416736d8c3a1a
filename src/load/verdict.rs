//! Whether a measurement is what it claims to be. Pure: evidence in, reasons out.

use hdrhistogram::Histogram;

use super::assertion::{Finding, Measured};
use super::recorder::Recorder;
use super::report::format::{count, nanos, percent};
use super::wire::Ending;

/// The server must answer this share of the offered rate within the window.
const ACHIEVED_AT_LEAST: f64 = 0.99;
/// The generator's own lateness may be this share of the latency that it adds to.
const LAG_AT_MOST: f64 = 0.25;
/// Lateness that does not matter, whatever the latency: a few system calls' worth.
const LAG_ALWAYS_ALLOWED_NS: u64 = 5_000;
/// A generator thread may be busy for this share of the window.
const BUSY_AT_MOST: f64 = 0.9;

/// Whether a measurement may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// One sentence for each thing that is wrong; none if the measurement is valid.
    pub reasons: Vec<String>,
    /// One sentence for each thing that a reader should know although it does not make the
    /// measurement invalid.
    pub warnings: Vec<String>,
}

impl Verdict {
    /// Whether the measurement is what it claims to be.
    pub fn is_valid(&self) -> bool {
        self.reasons.is_empty()
    }

    /// An assertion that the samples cannot answer was not tested, and that is not a pass.
    pub(super) fn weigh(&mut self, findings: &[Finding]) {
        for Finding { assertion, measured, .. } in findings {
            if *measured == Measured::Withheld {
                self.reasons.push(format!(
                    "{assertion} cannot be told: fewer than ten samples are beyond that \
                     percentile; measure for longer",
                ));
            }
        }
    }
}

/// What the verdict rests on beside what was recorded.
pub(super) struct Circumstances {
    /// Messages a second, in open loop.
    pub(super) rate: Option<u64>,
    /// Share of the window in which the busiest generator thread was not waiting.
    pub(super) busiest: f64,
    /// Length of the window that was planned.
    pub(super) planned_ns: u64,
    /// Length of the window that was measured: less if the run was interrupted.
    pub(super) measured_ns: u64,
    /// When the last connection was gone, since the run began, if that was before its end.
    pub(super) gone_after_ns: Option<u64>,
}

/// Weighs the evidence of a whole run.
pub(super) fn judge(recorder: &Recorder, circumstances: &Circumstances) -> Verdict {
    let mut reasons = Vec::new();
    connections(recorder, circumstances, &mut reasons);
    replies(recorder, &mut reasons);
    if let Some(rate) = circumstances.rate {
        open_loop(recorder, rate, circumstances, &mut reasons);
    }
    Verdict { reasons, warnings: warnings(circumstances) }
}

fn warnings(circumstances: &Circumstances) -> Vec<String> {
    let mut warnings = Vec::new();
    let Circumstances { planned_ns, measured_ns, .. } = *circumstances;
    if measured_ns < planned_ns {
        warnings.push(format!(
            "the run was interrupted: {} of {} were measured",
            nanos(measured_ns),
            nanos(planned_ns),
        ));
    }
    warnings
}

fn connections(recorder: &Recorder, circumstances: &Circumstances, reasons: &mut Vec<String>) {
    let totals = &recorder.totals;
    if let Some(gone_after_ns) = circumstances.gone_after_ns {
        reasons.push(format!(
            "no connection was left {} after the run began: it ended early",
            nanos(gone_after_ns),
        ));
    }
    for (failure, connections) in &recorder.connect_failures {
        reasons.push(format!(
            "{} of {} connections could not be made: {failure}",
            count(*connections),
            count(totals.connect_errors + totals.connections),
        ));
    }
    for (ending, connections) in &recorder.endings {
        let plural = if *connections == 1 { "" } else { "s" };
        reasons.push(format!("{} connection{plural} {}", count(*connections), describe(*ending)));
    }
}

fn describe(ending: Ending) -> String {
    match ending {
        Ending::Closed => "closed by the server".to_owned(),
        Ending::Reset => "reset by the server".to_owned(),
        Ending::GoAway => "told that the server is draining (GOAWAY)".to_owned(),
        Ending::Error(code) => match crate::protocol::ErrorCode::from_wire(code) {
            Some(known) => format!("refused with ERROR {code}: {known}"),
            None => format!("refused with ERROR {code}"),
        },
        Ending::BadReply => "given up after a malformed, altered or misplaced reply".to_owned(),
        Ending::Unclosed => "given up: the server did not close it after the client had".to_owned(),
        Ending::Surplus => "given up: more came back than was sent".to_owned(),
        Ending::Socket(error) => format!("failed: {}", std::io::Error::from_raw_os_error(error)),
    }
}

fn replies(recorder: &Recorder, reasons: &mut Vec<String>) {
    let totals = &recorder.totals;
    if totals.lost > 0 {
        reasons.push(format!(
            "{} of {} messages sent were lost: no reply within the drain, or before their \
             connection ended",
            count(totals.lost),
            count(totals.sent),
        ));
    }
    if totals.corrupted > 0 {
        reasons.push(format!(
            "{} of {} replies were corrupted: not the bytes that were sent",
            count(totals.corrupted),
            count(totals.received),
        ));
    }
    if totals.unsent > 0 {
        reasons.push(format!(
            "{} of {} intended messages were never sent: every connection was full or gone",
            count(totals.unsent),
            count(totals.intended),
        ));
    }
    if recorder.window_received == 0 {
        reasons.push("no message of the measured window was answered".to_owned());
    }
}

fn open_loop(
    recorder: &Recorder,
    rate: u64,
    circumstances: &Circumstances,
    reasons: &mut Vec<String>,
) {
    let achieved = achieved_share(recorder, rate);
    if achieved < ACHIEVED_AT_LEAST {
        reasons.push(format!(
            "the rate was not reached: {} of it was answered in time, at least {} must be; \
             lower --rate or give the server more",
            percent(achieved),
            percent(ACHIEVED_AT_LEAST),
        ));
    }
    for (name, quantile) in [("median", 0.5), ("p99", 0.99)] {
        if let Some(reason) = excessive_lag(recorder, name, quantile) {
            reasons.push(reason);
            break;
        }
    }
    if circumstances.busiest > BUSY_AT_MOST {
        reasons.push(format!(
            "a generator thread was busy for {} of the time, at most {} leaves it headroom; \
             use more --threads and --cpus, or lower --rate",
            percent(circumstances.busiest),
            percent(BUSY_AT_MOST),
        ));
    }
}

/// The share of the offered messages that the server answered as they came.
///
/// A server that falls behind answers more and more of them after the window. In a steady state
/// as many replies are late as there are early ones, to messages of the warm-up; without a warm-up
/// as many as the shortest response time explains.
fn achieved_share(recorder: &Recorder, rate: u64) -> f64 {
    if recorder.window_intended == 0 {
        return 1.0;
    }
    let in_transit = rate as f64 * recorder.latencies.response.min() as f64 / 1e9;
    let explained = recorder.early.max(in_transit.ceil() as u64);
    let behind = recorder.late.saturating_sub(explained);
    recorder.window_received.saturating_sub(behind) as f64 / recorder.window_intended as f64
}

fn excessive_lag(recorder: &Recorder, name: &str, quantile: f64) -> Option<String> {
    let at = |histogram: &Histogram<u64>| histogram.value_at_quantile(quantile);
    let (lag_ns, response_ns) = (at(&recorder.latencies.own_lag), at(&recorder.latencies.response));
    let allowed_ns = (response_ns as f64 * LAG_AT_MOST) as u64;
    (lag_ns > allowed_ns.max(LAG_ALWAYS_ALLOWED_NS)).then(|| {
        format!(
            "the generator was late: its own {name} send lag is {}, {} of the {name} response \
             of {}, at most {} is allowed; give it a CPU of its own or lower --rate",
            nanos(lag_ns),
            percent(lag_ns as f64 / response_ns as f64),
            nanos(response_ns),
            percent(LAG_AT_MOST),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::connection::Sent;
    use super::super::dial::Failure;
    use super::super::recorder::Window;
    use super::*;

    const WINDOW: Window = Window { start_ns: 0, end_ns: 1_000_000_000 };
    const RATE: u64 = 1000;

    fn calm() -> Circumstances {
        Circumstances {
            rate: Some(RATE),
            busiest: 0.2,
            planned_ns: WINDOW.length_ns(),
            measured_ns: WINDOW.length_ns(),
            gone_after_ns: None,
        }
    }

    /// A second of open loop in which message `i` is sent `lag_ns(i)` after its time, waiting for
    /// a slot if told so, and answered `service_ns(i)` after that.
    fn open_loop(
        lag_ns: impl Fn(u64) -> u64,
        waited_for_slot: bool,
        service_ns: impl Fn(u64) -> u64,
    ) -> Recorder {
        let mut recorder = Recorder::new(WINDOW, true);
        recorder.totals.sent = RATE;
        for message in 0..RATE {
            let intended_ns = message * 1_000_000_000 / RATE;
            let sent_ns = intended_ns + lag_ns(message);
            recorder.intend(intended_ns);
            let sent = Sent { intended_ns, sent_ns, bytes: 64, waited_for_slot };
            recorder.receive(sent, sent_ns + service_ns(message));
        }
        recorder
    }

    fn only_reason(recorder: &Recorder, circumstances: &Circumstances) -> String {
        let verdict = judge(recorder, circumstances);
        assert!(!verdict.is_valid());
        let [reason] = verdict.reasons.as_slice() else { panic!("{verdict:?}") };
        reason.clone()
    }

    #[test]
    fn a_calm_run_is_valid() {
        let recorder = open_loop(|_| 1_000, false, |_| 50_000);
        assert_eq!(judge(&recorder, &calm()), Verdict { reasons: vec![], warnings: vec![] });
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
    fn a_server_that_falls_behind_does_not_reach_the_rate() {
        // Each reply takes 1.02 ms, one after the other, where 1 ms is offered.
        let behind = |percent: u64| move |message: u64| 1_000_000 + message * 10_000 * percent;
        let recorder = open_loop(|_| 0, false, behind(2));
        assert!(only_reason(&recorder, &calm()).starts_with("the rate was not reached: 98."));
        let recorder = open_loop(|_| 0, false, behind(0));
        assert!(judge(&recorder, &calm()).is_valid());
    }

    #[test]
    fn a_long_way_is_not_falling_behind() {
        let recorder = open_loop(|_| 0, false, |_| 300_000_000);
        assert!(judge(&recorder, &calm()).is_valid(), "{:?}", judge(&recorder, &calm()));
    }

    #[test]
    fn a_stall_that_is_over_is_in_the_latency_and_not_in_the_verdict() {
        let stalled = |message: u64| if (300..600).contains(&message) { 600 - message } else { 0 };
        let recorder = open_loop(|_| 0, false, |message| 50_000 + stalled(message) * 1_000_000);
        assert!(judge(&recorder, &calm()).is_valid());
        assert!(recorder.latencies.response.value_at_quantile(0.9) > 100_000_000);
    }

    #[test]
    fn lag_counts_against_the_generator_only_while_a_slot_was_free() {
        let late = |message: u64| if message.is_multiple_of(50) { 90_000 } else { 0 };
        let own = open_loop(late, false, |_| 50_000);
        assert!(only_reason(&own, &calm()).contains("its own p99 send lag is 90.0 µs"));
        let servers = open_loop(late, true, |_| 50_000);
        assert!(judge(&servers, &calm()).is_valid());
    }

    #[test]
    fn an_interruption_is_told_and_does_not_make_a_measurement_invalid() {
        let recorder = open_loop(|_| 1_000, false, |_| 50_000);
        let cut = Circumstances { planned_ns: 10 * WINDOW.length_ns(), ..calm() };
        let verdict = judge(&recorder, &cut);
        assert!(verdict.is_valid());
        assert_eq!(verdict.warnings, ["the run was interrupted: 1.00 s of 10.0 s were measured"]);
    }

    #[test]
    fn a_busy_generator_is_told() {
        let recorder = open_loop(|_| 0, false, |_| 50_000);
        let busy = Circumstances { busiest: 0.95, ..calm() };
        assert!(only_reason(&recorder, &busy).contains("busy for 95 % of the time"));
        let closed_loop = Circumstances { rate: None, ..busy };
        assert!(judge(&recorder, &closed_loop).is_valid());
    }
}
