//! Logs are read back as they were written, sums are exact, errors name their line.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use proptest::prelude::*;

use super::*;
use crate::load::config::part::Part;
use crate::load::config::{Config, Target};
use crate::load::outcome::Outcome;
use crate::load::record::latencies;
use crate::load::record::recorder::Totals;
use crate::load::report::merged::{Gap, Merged};

const EPOCH: SystemTime = SystemTime::UNIX_EPOCH;
const SECOND: Duration = Duration::from_secs(1);

fn histogram(values: &[u64]) -> Histogram<u64> {
    let mut histogram = latencies::histogram();
    values.iter().for_each(|value| histogram.saturating_record(*value));
    histogram
}

/// A log of a machine that started so many milliseconds after another, with these values of each
/// second.
fn log_of(tag: &str, offset_ms: u64, seconds: &[Vec<u64>]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let mut start = EPOCH + Duration::from_millis(1_700_000_000_000 + offset_ms);
    for values in seconds {
        let values = &histogram(values);
        writer.write(&Logged { tag: Some(tag), start, duration: SECOND, values }).unwrap();
        start += SECOND;
    }
    writer.into_inner()
}

fn problem(bytes: &[u8]) -> (usize, Problem) {
    let error = Log::read(bytes).and_then(|log| match merge(&[log], &mut |_| {}) {
        Ok(_) => panic!("it is read"),
        Err(MergeError { error, .. }) => Err::<(), LogError>(error),
    });
    let LogError { line, problem } = error.expect_err("it is no log");
    (line, problem)
}

proptest! {
    // Decoded histograms are large.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_written_is_read_back(
        seconds in proptest::collection::vec(
            proptest::collection::vec(0_u64..70_000_000_000, 0..30), 1..5),
    ) {
        let log = Log::read(&log_of("service", 0, &seconds)).unwrap();
        prop_assert_eq!(log.entries.len(), seconds.len());
        for (second, (entry, values)) in log.entries.iter().zip(&seconds).enumerate() {
            prop_assert_eq!(entry.tag.as_deref(), Some("service"));
            prop_assert_eq!(entry.start, EPOCH + SECOND * (1_700_000_000 + second as u32));
            prop_assert_eq!(entry.end, entry.start + SECOND);
            prop_assert_eq!(entry.histogram().unwrap(), histogram(values));
        }
    }

    #[test]
    fn merging_loses_no_count(
        one in proptest::collection::vec(
            proptest::collection::vec(0_u64..60_000_000_000, 0..20), 1..5),
        other in proptest::collection::vec(
            proptest::collection::vec(0_u64..60_000_000_000, 0..20), 1..5),
        offset_ms in 0_u64..5000,
    ) {
        let logs = [log_of("service", 0, &one), log_of("service", offset_ms, &other)];
        let logs = logs.map(|log| Log::read(&log).unwrap());
        let mut shown = histogram(&[]);
        let merged = merge(&logs, &mut |interval| shown.add(interval.values).unwrap()).unwrap();
        let all: Vec<u64> = one.iter().chain(&other).flatten().copied().collect();
        prop_assert_eq!(&merged.latency[&Some("service".to_owned())], &histogram(&all));
        prop_assert_eq!(shown, histogram(&all));
    }

    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Log::read(&bytes).map(|log| merge(&[log], &mut |_| {}));
    }

    #[test]
    fn a_damaged_log_is_an_error_or_another_log(
        place in 0_usize..2000,
        byte in proptest::char::range('!', '~'),
    ) {
        let mut bytes = log_of("service", 0, &[(0..300).map(|value| value * 777).collect()]);
        let place = place % bytes.len();
        bytes[place] = byte as u8;
        let merged = Log::read(&bytes).map(|log| merge(&[log], &mut |_| {}));
        if let Err(error) | Ok(Err(MergeError { error, .. })) = merged {
            prop_assert!((1..=bytes.split(|byte| *byte == b'\n').count()).contains(&error.line));
        }
    }
}

/// The merged intervals of logs: start in milliseconds since the first, tag, length, samples.
fn merged_intervals(logs: &[Vec<u8>]) -> Vec<(u128, String, u128, u64)> {
    let logs: Vec<Log> = logs.iter().map(|log| Log::read(log).unwrap()).collect();
    let first = logs.iter().flat_map(|log| &log.entries).map(|entry| entry.start).min().unwrap();
    let mut shown = Vec::new();
    merge(&logs, &mut |interval| {
        let start = interval.start.duration_since(first).unwrap().as_millis();
        let tag = interval.tag.unwrap_or("").to_owned();
        shown.push((start, tag, interval.duration.as_millis(), interval.values.len()));
    })
    .unwrap();
    shown
}

#[test]
fn intervals_of_the_same_time_become_one() {
    let logs = [
        log_of("service", 0, &[vec![10], vec![20], vec![30]]),
        log_of("service", 0, &[vec![11, 12], vec![21]]),
        log_of("response", 0, &[vec![99]]),
    ];
    let expected =
        [(0, "response", 1), (0, "service", 3), (1000, "service", 2), (2000, "service", 1)];
    let expected = expected.map(|(start, tag, samples)| (start, tag.to_owned(), 1000, samples));
    assert_eq!(merged_intervals(&logs), expected);
}

#[test]
fn intervals_that_overlap_by_parts_keep_their_length_and_so_their_rate() {
    let logs =
        [log_of("service", 0, &[vec![1; 5], vec![1; 5]]), log_of("service", 900, &[vec![1; 7]])];
    let expected = [(0, 5), (900, 7), (1000, 5)];
    let expected = expected.map(|(start, samples)| (start, "service".to_owned(), 1000, samples));
    assert_eq!(merged_intervals(&logs), expected);
}

#[test]
fn what_is_no_log_says_where_and_why() {
    let whole = log_of("service", 0, &[vec![10], vec![20]]);
    assert_eq!(problem(b"\x7fELF\x02"), (1, Problem::NotALog));
    assert_eq!(problem(b"{\n  \"schema\": \"ringback-load/1\"\n}\n"), (1, Problem::NotALog));
    assert_eq!(problem(b""), (0, Problem::NoInterval { incomplete: None }));
    assert_eq!(
        problem(b"#[StartTime: 1.000 (seconds)]\n\n"),
        (2, Problem::NoInterval { incomplete: None })
    );
    // A line is cut off wherever the file ends within it, and whole without its line feed.
    let last = whole.len() - whole.iter().rev().skip(1).position(|byte| *byte == b'\n').unwrap();
    for end in last + 1..whole.len() - 1 {
        assert_eq!(problem(&whole[..end]), (7, Problem::CutOff), "cut at {end}");
    }
    assert_eq!(Log::read(&whole[..whole.len() - 1]).unwrap().entries.len(), 2);
    assert_eq!(problem(b"Tag=service,0.000,1.000,0.000,AAAAAAAA\n").1, Problem::UnknownFormat);
    assert!(matches!(problem(b"0.000,1.000,0.000,###\n"), (1, Problem::Damaged(_))));
    let damaged = String::from_utf8(whole).unwrap().replacen("HISTFAAAA", "HISTFBBBB", 1);
    assert!(matches!(problem(damaged.as_bytes()), (6, Problem::Damaged(_))), "{damaged}");
}

/// A histogram in plain V2, of these counts and with these fields of the header.
fn plain(
    cookie: u32,
    offset: u32,
    (digits, lowest): (u32, u64),
    ratio: u64,
    counts: &[u8],
) -> String {
    let mut binary = cookie.to_be_bytes().to_vec();
    for word in [counts.len() as u32, offset, digits] {
        binary.extend(word.to_be_bytes());
    }
    // The highest value is less than what follows: a writer that grew may not have kept it.
    for long in [lowest, 2 * lowest, ratio] {
        binary.extend(long.to_be_bytes());
    }
    binary.extend(counts);
    BASE64.encode(binary)
}

const V2: u32 = 0x1c84_9313;
const ONE: u64 = 1_f64.to_bits();

/// A line of a second, without a tag or with `Tag=name,`.
fn line(tag: &str, start: &str, histogram: &str) -> String {
    format!("{tag}{start},1.000,0.000,{histogram}\n")
}

fn one_of_100(digits: u32, lowest: u64) -> String {
    plain(V2, 0, (digits, lowest), ONE, &[0xc7, 1, 2])
}

fn merged(text: &str) -> Merged {
    merge(&[Log::read(text.as_bytes()).unwrap()], &mut |_| {}).unwrap()
}

#[test]
fn headers_of_other_writers_are_read_and_fractions_called_what_they_are() {
    let total = |histogram: &str| merged(&line("", "0", histogram)).latency.remove(&None).unwrap();
    // Offset and ratio mean nothing in whole numbers: as Go writes it, and as JavaScript does.
    for (offset, ratio) in [(1, ONE), (1, 1), (0, 0)] {
        let total = total(&plain(V2, offset, (3, 1), ratio, &[0xc7, 1, 2, 0xcf, 0x0f, 4]));
        assert_eq!((total.len(), total.min(), total.max()), (3, 100, 1101));
    }
    // Values below the unit are no less than their percentiles.
    let total = total(&plain(V2, 0, (3, 1000), ONE, &[2]));
    assert_eq!((total.min(), total.value_at_quantile(0.5), total.max()), (0, 511, 511));
    for cookie in [0x0c72_124e, 0x0c72_124f] {
        let histogram = plain(cookie, 0, (3, 1), ONE, &[]);
        assert!(histogram.starts_with("DHIST"));
        assert_eq!(problem(line("", "0", &histogram).as_bytes()), (1, Problem::DoubleHistogram));
    }
}

#[test]
fn what_would_lose_precision_is_refused_in_the_line_that_differs() {
    let text = |second: &str, third: &str| {
        line("", "5.000", &one_of_100(3, 1)) + &line("", second, &one_of_100(3, 1)) + third
    };
    let odd = Problem::OtherPrecision { own: (2, 1), others: (3, 1) };
    for start in ["9.000", "6.000", "1.000"] {
        let text = text("6.000", &line("", start, &one_of_100(2, 1)));
        assert_eq!(problem(text.as_bytes()), (3, odd.clone()), "{text}");
    }
    let coarse = line("", "1.000", &one_of_100(3, 64));
    assert!(matches!(problem(text("6.000", &coarse).as_bytes()).1, Problem::OtherPrecision { .. }));
}

#[test]
fn what_loses_nothing_may_differ() {
    let empty = |digits| plain(V2, 0, (digits, 1), ONE, &[]);
    let none = |text: String| merged(&text).latency[&None].len();
    // An empty interval, before and after others.
    assert_eq!(none(line("", "0", &empty(2)) + &line("", "1", &one_of_100(3, 1))), 1);
    assert_eq!(none(line("", "0", &one_of_100(3, 1)) + &line("", "1", &empty(2))), 1);
    assert_eq!(none(line("", "0", &empty(2)) + &line("", "0", &one_of_100(3, 1))), 1);
    // Units that divide values alike.
    assert_eq!(none(line("", "0", &one_of_100(3, 32)) + &line("", "1", &one_of_100(3, 63))), 2);
    // Another tag.
    let tags =
        merged(&(line("Tag=a,", "0", &one_of_100(3, 1)) + &line("Tag=b,", "0", &one_of_100(2, 1))));
    assert_eq!(tags.latency.values().map(Histogram::len).collect::<Vec<_>>(), [1, 1]);
    let (names, sum) = tags.main();
    assert_eq!((names.len(), sum.len(), sum.max()), (2, 2, 100));
}

#[test]
fn ranges_grow_to_the_widest() {
    let with = |high| {
        let mut values = Histogram::<u64>::new_with_bounds(1, high, 3).unwrap();
        values.record(high - 1).unwrap();
        let mut writer = Writer::new(Vec::new());
        let logged = Logged { tag: None, start: EPOCH, duration: SECOND, values: &values };
        writer.write(&logged).unwrap();
        Log::read(&writer.into_inner()).unwrap()
    };
    let merged = merge(&[with(100_000), with(3_600_000_000_000)], &mut |_| {}).unwrap();
    assert_eq!(merged.latency[&None].len(), 2);
}

#[test]
fn counts_that_are_too_many_are_an_error() {
    // Nine bytes hold as many as there can be in a count: 2^63 - 1.
    let most = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let twice = plain(V2, 0, (3, 1), ONE, &[most, most].concat());
    let text = line("", "0", &twice) + &line("", "1", &one_of_100(3, 1));
    assert_eq!(merged(&text).latency[&None].len(), u64::MAX);
    let text = text + &line("Tag=b,", "2", &one_of_100(3, 1));
    assert_eq!(problem(text.as_bytes()), (3, Problem::TooManySamples));
    let thrice = plain(V2, 0, (3, 1), ONE, &[most, most, most].concat());
    assert_eq!(problem(line("", "0", &thrice).as_bytes()), (1, Problem::TooManySamples));
}

fn note(part: Option<(usize, usize)>) -> RunNote {
    let target = Target::at(([10, 0, 0, 1], 7).into());
    let config = Config::new(target).with(|config| {
        config.part = part.map(|(index, of)| Part { index, of });
        config.start_at = Some(EPOCH + Duration::from_millis(1_700_000_000_250));
    });
    RunNote::of(&config)
}

fn result(outcome: Outcome, sent: u64) -> ResultNote {
    ResultNote {
        outcome,
        reasons: vec!["it broke".to_owned()],
        warnings: vec!["it waited".to_owned(), "this host's clock is not synchronised".to_owned()],
        measured_ns: Some(2_000_000_000),
        clock: None,
        totals: Some(Totals { sent, ..Totals::default() }),
        throughput: None,
    }
}

/// The log of a run of two seconds from so many milliseconds on.
fn noted(run: &RunNote, offset_ms: u64, end: Option<&ResultNote>) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.write_run(run).unwrap();
    let start = EPOCH + Duration::from_millis(1_700_000_000_000 + offset_ms);
    for second in 0..2 {
        let values = &histogram(&[7]);
        let start = start + SECOND * second;
        writer.write(&Logged { tag: Some("service"), start, duration: SECOND, values }).unwrap();
    }
    end.map_or(Ok(()), |result| writer.write_result(result)).unwrap();
    writer.into_inner()
}

#[test]
fn notes_are_read_back_each_with_its_run() {
    let passed = result(Outcome::Passed, 3);
    let bytes = [
        noted(&note(Some((0, 2))), 0, Some(&passed)),
        noted(&note(Some((1, 2))), 10, None),
        log_of("service", 0, &[vec![1]]),
    ];
    // The last is what an older version wrote: whose it is, it does not say.
    let log = Log::read(&bytes.concat()).unwrap();
    let runs: Vec<_> = log.runs.iter().map(|run| (run.part(), run.outcome())).collect();
    let part = |index| Some(Part { index, of: 2 });
    assert_eq!(runs, [(part(0), Some(Outcome::Passed)), (part(1), None)], "it is taken for a part");
    let window = log.runs[0].window().unwrap();
    assert_eq!(window, (EPOCH + Duration::from_secs(1_700_000_000), 2 * SECOND));
    let log = Log::read(&[&bytes[0][..], &bytes[2]].concat()).unwrap();
    let runs: Vec<_> = log.runs.iter().map(|run| (run.part(), run.outcome())).collect();
    assert_eq!(runs, [(part(0), Some(Outcome::Passed)), (None, None)]);
    // Everything that other readers see is as without notes.
    let merged = merge(&[log], &mut |_| {}).unwrap();
    assert_eq!(merged.latency[&Some("service".to_owned())].len(), 3);
    assert_eq!(merged.totals, None, "one does not say");
}

#[test]
fn counts_and_verdicts_are_added_up() {
    let log =
        |index, end: &ResultNote| Log::read(&noted(&note(Some((index, 2))), 0, Some(end))).unwrap();
    let two = [log(0, &result(Outcome::Passed, 3)), log(1, &result(Outcome::Missed, u64::MAX))];
    let merged = merge(&two, &mut |_| {}).unwrap();
    assert_eq!(merged.totals.unwrap().sent, u64::MAX, "as far as there are numbers");
    assert_eq!(merged.outcome(), Outcome::Missed);
    assert_eq!(check_one_run(&two), Ok(()));
    let bad = [log(0, &result(Outcome::ServerAtFault, 3)), log(1, &result(Outcome::Passed, 4))];
    let merged = merge(&bad, &mut |_| {}).unwrap();
    assert_eq!(merged.outcome(), Outcome::ServerAtFault);
    assert_eq!(merged.verdict.reasons, ["part 0/2 is INVALID: it broke"]);
    let other = Log::read(&noted(&note(Some((0, 3))), 0, None)).unwrap();
    let error = check_one_run(&[log(0, &result(Outcome::Passed, 1)), other]).unwrap_err();
    assert!(error.contains("the number of parts is 2 in the one and 3 in the other"), "{error}");
}

#[test]
fn a_run_of_its_own_without_a_result_is_incomplete_and_warnings_are_kept() {
    let log = |end: Option<&ResultNote>| Log::read(&noted(&note(None), 0, end)).unwrap();
    let killed = log(None);
    assert_eq!(killed.flaw(), Some((Outcome::Incomplete, vec![NO_RESULT.to_owned()])));
    let merged = merge(&[killed, log(Some(&result(Outcome::Passed, 3)))], &mut |_| {}).unwrap();
    assert_eq!(merged.outcome(), Outcome::Incomplete);
    assert_eq!(merged.verdict.reasons, [NO_RESULT]);
    // The clock is told by its state, where runs share a time.
    assert_eq!(merged.verdict.warnings, ["it waited"]);
}

#[test]
fn a_log_without_intervals_is_one_if_it_says_whose_it_is() {
    let mut writer = Writer::new(Vec::new());
    writer.write_run(&note(Some((1, 2)))).unwrap();
    writer.write_failed("too late").unwrap();
    let nothing = Log::read(&writer.into_inner()).unwrap();
    let whole = Log::read(&noted(&note(Some((0, 2))), 0, Some(&result(Outcome::Passed, 3))));
    let merged = merge(&[whole.unwrap(), nothing], &mut |_| {}).unwrap();
    assert_eq!(merged.verdict.reasons, ["part 1/2 measured nothing: too late"]);
    let mut writer = Writer::new(Vec::new());
    writer.write_run(&note(None)).unwrap();
    let bytes = writer.into_inner();
    assert_eq!(problem(&bytes), (1, Problem::NoInterval { incomplete: None }));
}

#[test]
fn notes_that_are_damaged_are_an_error() {
    let whole = String::from_utf8(noted(&note(Some((0, 2))), 0, None)).unwrap();
    for (damaged, words) in [
        (whole.replacen("\"raw\"", "\"cooked\"", 1), "its note on the run is damaged: unknown v"),
        (whole.replacen("\"of\":2", "\"of\":0", 1), "0 parts are not possible"),
        (whole.replacen("\"of\":2", "\"of\":4000000", 1), "4000000 parts are not possible"),
        (whole.replacen("\"index\":0", "\"index\":2", 1), "there is no part 2 of 2"),
        (whole.replacen("}]\n", "\n", 1), "it is not a line of an HdrHistogram log"),
    ] {
        let (line, problem) = problem(damaged.as_bytes());
        assert!(line == 1 && problem.to_string().contains(words), "{line} {problem}: {damaged}");
    }
}

#[test]
fn messages_on_standard_error_may_stand_between() {
    let mixed = [
        "ringback-load  10.0.0.1:7  closed loop\n",
        "warning: something else runs\n",
        &String::from_utf8(log_of("service", 0, &[vec![1]])).unwrap(),
        "ringback-load: it broke\n",
    ];
    assert_eq!(merged(&mixed.concat()).latency[&Some("service".to_owned())].len(), 1);
}

#[test]
fn times_that_cannot_be_written_are_an_error() {
    let histogram = one_of_100(3, 1);
    for text in [
        line("", "1441812279474.000", &histogram),
        format!("#[StartTime: 1441812279474.000 (s)]\n{}", line("", "1.000", &histogram)),
        format!("#[BaseTime: 1441812279474.000 (s)]\n{}", line("", "1.000", &histogram)),
        line("", "253402300799.000", &histogram),
        line("", "18446744073709551615", &histogram),
        line("", "-1", &histogram),
        format!("0,18446744073709551615,0.000,{histogram}\n"),
    ] {
        assert_eq!(problem(text.as_bytes()), (text.lines().count(), Problem::ImpossibleTime));
    }
    let last = line("", "253402300798.000", &histogram);
    assert_eq!(merged(&last).latency[&None].len(), 1);
    let far = line("", "1.000", &histogram) + &last;
    assert_eq!(problem(far.as_bytes()), (2, Problem::TooLongAfter));
}

fn gap_in(log: Option<&str>, start_ms: u64, ms: u64) -> Gap {
    Gap::new(log, EPOCH + Duration::from_millis(start_ms), Duration::from_millis(ms))
}

#[test]
fn a_gap_of_one_log_is_known_where_others_go_on() {
    let log = |name: &str, starts: &[&str]| {
        let text: String = starts.iter().map(|start| line("", start, &one_of_100(3, 1))).collect();
        Log { name: name.to_owned(), ..Log::read(text.as_bytes()).unwrap() }
    };
    let whole = || log("whole", &["5.000", "6.000", "7.000", "8.000"]);
    let gaps = |other: Log| merge(&[whole(), other], &mut |_| ()).unwrap().gaps;
    assert_eq!(gaps(log("short", &["5.000", "6.000"])), [], "it ended earlier");
    assert_eq!(gaps(log("holed", &["5.000", "8.000"])), [gap_in(Some("holed"), 6000, 2000)]);
    let late = log("late", &["5.000", "20.000"]);
    assert_eq!(gaps(late), [gap_in(None, 9000, 11_000)], "most of it is of all");
}

#[test]
fn gaps_are_known() {
    let text = |starts: &[&str]| -> String {
        starts.iter().map(|start| line("", start, &one_of_100(3, 1))).collect()
    };
    // As loggers are late, and between generators that follow each other.
    for starts in [["5.000", "6.090", "7.000"], ["5.000", "5.500", "6.400"], ["5", "5", "5"]] {
        assert_eq!(merged(&text(&starts)).gaps, [], "{starts:?}");
    }
    let gap = |start_ms, ms| gap_in(None, start_ms, ms);
    let gaps = merged(&text(&["9.000", "5.000", "6.200", "3609.000"])).gaps;
    assert_eq!(gaps, [gap(6000, 200), gap(7200, 1800), gap(10_000, 3_599_000)]);
}

#[test]
fn timestamps_are_read_as_java_does_and_of_each_log_by_its_own_header() {
    let interval = line("", "5.000", "HISTF ");
    let start = |header: &str, expected: &[u64]| {
        let log = Log::read(format!("{header}{interval}").as_bytes()).unwrap();
        let since_epoch = |entry: &Entry| entry.start.duration_since(EPOCH).unwrap().as_secs();
        let starts: Vec<u64> = log.entries.iter().map(since_epoch).collect();
        assert_eq!(starts, expected, "{header}");
    };
    start("", &[5]);
    start("#[StartTime: 1700000000.000 (seconds since epoch)]\n", &[1_700_000_005]);
    start("#[StartTime: 1700000000 (seconds since epoch)]\n", &[1_700_000_005]);
    start("#[StartTime: 100.000 (seconds since epoch)]\n", &[5]);
    let begun = "#[StartTime: 1700000000.0 (x)]\n";
    for base in ["#[BaseTime: 1600000000.0 (x)]\n", "#[Basetime: 1600000000 (x)]\n"] {
        start(&format!("{begun}{base}"), &[1_600_000_005]);
        start(&format!("{base}{begun}"), &[1_600_000_005]);
    }
    let marked = |start: u64| format!("\u{feff}#[StartTime: {start}.000 (x)]\r\n\r\n");
    let two = format!("{}{interval}{}", marked(1_700_000_000), marked(1_800_000_000));
    start(&two, &[1_700_000_005, 1_800_000_005]);
}

#[test]
fn tags_hold_nothing_that_a_terminal_obeys() {
    let log = Log::read(line("Tag=a\u{1b}[31m\u{9b}b,", "0", "HISTF").as_bytes()).unwrap();
    assert_eq!(log.entries[0].tag.as_deref(), Some("a\\u{1b}[31m\\u{9b}b"));
}
