//! Logs are read back as they were written, sums are exact, errors name their line.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use proptest::prelude::*;

use super::*;
use crate::load::record::latencies;

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
        prop_assert_eq!(&merged.totals[&Some("service".to_owned())], &histogram(&all));
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
        let _ = Log::read(&bytes).map(|log| merge(&[log], &mut |_| {}));
    }
}

#[test]
fn seconds_of_two_machines_become_one() {
    let logs = [
        log_of("service", 0, &[vec![10], vec![20], vec![30]]),
        log_of("service", 400, &[vec![11], vec![21]]),
        log_of("response", 0, &[vec![99]]),
    ];
    let mut shown = Vec::new();
    let merged = merge(&logs.map(|log| Log::read(&log).unwrap()), &mut |interval| {
        let started = interval.start.duration_since(EPOCH).unwrap().as_secs() - 1_700_000_000;
        shown.push((
            started,
            interval.tag.unwrap().to_owned(),
            interval.duration,
            interval.values.len(),
        ));
    })
    .unwrap();
    let expected = [
        (0, "response", 1000, 1),
        (0, "service", 1400, 2),
        (1, "service", 1400, 2),
        (2, "service", 1000, 1),
    ]
    .map(|(started, tag, ms, samples)| {
        (started, tag.to_owned(), Duration::from_millis(ms), samples)
    });
    assert_eq!(shown, expected);
    assert_eq!(merged.end.duration_since(merged.start).unwrap(), 3 * SECOND);
}

#[test]
fn what_is_no_log_says_where_and_why() {
    let whole = log_of("service", 0, &[vec![10], vec![20]]);
    assert_eq!(problem(b"\x7fELF\x02"), (1, Problem::NotALog));
    assert_eq!(problem(b"{\n  \"schema\": \"ringback-load/1\"\n}\n"), (1, Problem::NotALog));
    assert_eq!(problem(b""), (0, Problem::NoInterval));
    assert_eq!(problem(b"#[StartTime: 1.000 (seconds)]\n\n"), (2, Problem::NoInterval));
    assert_eq!(problem(&whole[..whole.len() - 1]), (7, Problem::CutOff));
    assert_eq!(problem(b"Tag=service,0.000,1.000,0.000,AAAA\n").1, Problem::UnknownFormat);
    assert!(matches!(problem(b"0.000,1.000,0.000,###\n"), (1, Problem::Damaged(_))));
    let damaged = String::from_utf8(whole).unwrap().replacen("HISTFAAAA", "HISTFBBBB", 1);
    assert!(matches!(problem(damaged.as_bytes()), (6, Problem::Damaged(_))), "{damaged}");
}

#[test]
fn what_would_lose_precision_is_refused() {
    let with = |digits| {
        let mut values = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, digits).unwrap();
        values.record(123_456_789).unwrap();
        let mut writer = Writer::new(Vec::new());
        let logged = Logged { tag: None, start: EPOCH, duration: SECOND, values: &values };
        writer.write(&logged).unwrap();
        Log::read(&writer.into_inner()).unwrap()
    };
    let Err(error) = merge(&[with(3), with(2)], &mut |_| {}) else { panic!("digits are lost") };
    assert_eq!(error.log, 1);
    assert!(error.to_string().contains("cannot be added without loss"), "{error}");
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
    assert_eq!(merged.totals[&None].len(), 2);
}

#[test]
fn timestamps_are_read_as_java_does() {
    let plain = String::from_utf8(log_of("service", 0, &[vec![10]])).unwrap();
    let line = plain.lines().last().unwrap().replace("0.000,1.000", "5.000,1.000");
    let started = |header: &str| {
        let log = Log::read(format!("{header}{line}\n").as_bytes()).unwrap();
        log.entries[0].start.duration_since(EPOCH).unwrap().as_secs()
    };
    assert_eq!(started(""), 5);
    assert_eq!(started("#[StartTime: 1700000000.000 (seconds since epoch)]\n"), 1_700_000_005);
    assert_eq!(started("#[StartTime: 100.000 (seconds since epoch)]\n"), 5);
    assert_eq!(
        started("#[StartTime: 1700000000.0 (x)]\n#[BaseTime: 1600000000.0 (x)]\n"),
        1_600_000_005
    );
}
