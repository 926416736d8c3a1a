//! Saved results are drawn, or say why they cannot be.

mod legibility;

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::curve::{Curve, State};
use super::figure::Figure;
use super::saved::{Curves, RunCurves};
use super::together::figure;
use super::*;
use crate::load::outcome::Outcome;
use crate::load::report::Report;
use crate::load::report::document::Percentiles;
use crate::load::report::hlog;
use crate::load::report::testing::report;

fn read_value(value: &Value) -> Saved {
    read(value.to_string().as_bytes()).unwrap()
}

fn run_curves(saved: &Saved) -> &RunCurves {
    let Curves::Run(curves) = &saved.curves else { panic!("{saved:?}") };
    curves
}

fn draw(saved: &[(&str, &Saved)]) -> Figure {
    figure(saved.iter().map(|(name, saved)| ((*name).to_owned(), (*saved).clone())).collect())
        .unwrap()
}

fn curves(figure: &Figure, chart: usize) -> &[Curve] {
    &figure.charts[chart].content.as_ref().unwrap().curves
}

fn names(figure: &Figure, chart: usize) -> Vec<&str> {
    curves(figure, chart).iter().map(|curve| curve.name.as_str()).collect()
}

#[test]
fn a_report_is_its_known_percentiles() {
    let run = read_value(&report());
    assert_eq!(run.target.as_deref(), Some("10.0.0.1:7"));
    assert_eq!(
        run.facts,
        [
            "open loop at 20,000/s",
            "64 connections × 64 B, raw",
            "20,000/s answered",
            "Linux 6.18.0, 2 CPUs, Fast CPU",
        ]
    );
    assert_eq!(run.date.as_deref(), Some("2026-11-24 17:40 UTC"));
    let RunCurves { latencies, timeline } = run_curves(&run);
    assert_eq!((&run.warning, timeline), (&None, &None));
    let [response, service] = latencies.as_slice() else { panic!("response and service") };
    assert!(response.name.starts_with("response") && service.name.starts_with("service"));
    let points: Vec<_> = response
        .points
        .iter()
        .map(|point| (point.quantile, point.latency_ns, point.is_firm))
        .collect();
    assert_eq!(
        points,
        [(0.5, 5000, true), (0.9, 9000, true), (0.99, 10_000, true), (0.9998, 60_000, false),]
    );
}

#[test]
fn what_is_not_valid_says_so_in_its_picture() {
    for (outcome, verdict) in [("server_at_fault", "INVALID"), ("incomplete", "INCOMPLETE")] {
        let mut report = report();
        report["verdict"]["outcome"] = json!(outcome);
        report["verdict"]["reasons"] = json!(["3 messages were lost", "late"]);
        let run = read_value(&report);
        let warning = format!("{verdict}: 3 messages were lost; late");
        assert_eq!(draw(&[("a.json", &run)]).warnings.concat(), warning);
        let two = draw(&[("a.json", &run), ("b.json", &run)]);
        assert_eq!(two.warnings[1], format!("b.json: {warning}"));
    }
    let whole = log(&[("service", 0, &[1000])]);
    let cut = [&whole[..], b"#[Incomplete: 1 s of 10 s]\n"].concat();
    assert_eq!(read(&whole).unwrap().warning, None);
    assert_eq!(read(&cut).unwrap().warning.unwrap(), "INCOMPLETE: 1 s of 10 s");
}

/// A log of some seconds, by tag and value.
fn log(seconds: &[(&str, u64, &[u64])]) -> Vec<u8> {
    let mut writer = hlog::Writer::new(Vec::new());
    for (tag, second, values) in seconds {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        values.iter().for_each(|value| histogram.record_n(*value, 100).unwrap());
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second);
        let tag = (!tag.is_empty()).then_some(*tag);
        let duration = Duration::from_secs(1);
        writer.write(&hlog::Logged { tag, start, duration, values: &histogram }).unwrap();
    }
    writer.into_inner()
}

#[test]
fn a_log_is_a_curve_and_a_timeline() {
    let saved = log(&[
        ("service", 0, &[1_000, 2_000]),
        ("response", 0, &[3_000, 4_000]),
        ("send_lag", 0, &[1]),
        ("hiccup", 0, &[9_000_000]),
        ("service", 1, &[1_000]),
        ("response", 1, &[5_000]),
        ("hiccup", 1, &[10_000]),
    ]);
    let run = read(&saved).unwrap();
    assert_eq!(run.facts, ["300 messages"]);
    assert_eq!(run.date.as_deref(), Some("2023-11-14 22:13 UTC"));
    let RunCurves { latencies, timeline } = run_curves(&run);
    let [response, service] = latencies.as_slice() else { panic!("{latencies:?}") };
    assert_eq!((response.name.as_str(), response.moments), ("response time", "due → reply"));
    assert_eq!((service.name.as_str(), service.moments), ("service time", "send → reply"));
    assert_eq!(response.points.last().unwrap().latency_ns / 10, 500);
    assert_eq!(service.points.last().unwrap().latency_ns / 10, 200);
    let timeline = timeline.as_ref().unwrap();
    let maxima = timeline.intervals.iter().map(|interval| interval.max_ns.unwrap() / 10);
    assert_eq!(maxima.collect::<Vec<_>>(), [400, 500]);
    assert_eq!((timeline.steps[0].messages_per_s, timeline.stalls.len()), (200.0, 1));
    let figure = draw(&[("a.hlog", &run)]);
    assert_eq!((figure.title.as_str(), figure.charts.len()), ("Latency of a.hlog", 3));
}

#[test]
fn a_log_of_another_program_is_drawn_by_its_tags() {
    let run = read(&log(&[("", 0, &[1_000]), ("get", 0, &[2_000]), ("hiccup", 0, &[1])])).unwrap();
    let names: Vec<_> =
        run_curves(&run).latencies.iter().map(|series| series.name.as_str()).collect();
    assert_eq!(names, ["latency", "get"]);
    let only_stalls = read(&log(&[("hiccup", 0, &[1])])).unwrap_err();
    assert!(matches!(only_stalls, ReadError::Empty), "{only_stalls}");
}

#[test]
fn tags_of_another_program_are_added_up() {
    let run = read(&log(&[
        ("get", 0, &[1_000]),
        ("put", 0, &[2_000, 3_000]),
        ("hiccup", 0, &[9_000_000]),
    ]));
    let run = run.unwrap();
    assert_eq!(run.facts[0], "300 messages");
    let timeline = run_curves(&run).timeline.as_ref().unwrap();
    assert_eq!(timeline.steps[0].messages_per_s, 300.0);
    let [interval] = timeline.intervals.as_slice() else { panic!("{timeline:?}") };
    assert_eq!((interval.p50_ns.unwrap() / 10, interval.max_ns.unwrap() / 10), (200, 300));
}

#[test]
fn nothing_is_drawn_where_nothing_was_logged() {
    let seconds = [0, 1, 2, 3602, 3603];
    let run = read(&log(&seconds.map(|second| ("service", second, &[1_000][..])))).unwrap();
    let svg = draw(&[("a.hlog", &run)]).svg();
    let (_, over_time) = svg.split_once("Latency over time").unwrap();
    let (latency, throughput) = over_time.split_once("Throughput").unwrap();
    let columns = |line: &str| -> Vec<f64> {
        let points = line.split('"').nth(3).unwrap().split(' ');
        points.map(|point| point.split_once(',').unwrap().0.parse().unwrap()).collect()
    };
    // The slowest and the median, and one line of the rate, each before the gap and after it.
    for (part, lines) in [(latency, 4), (throughput, 2)] {
        let drawn: Vec<_> = part.lines().filter(|line| line.starts_with("<polyline")).collect();
        assert_eq!(drawn.len(), lines, "{drawn:?}");
        for columns in drawn.into_iter().map(columns) {
            assert!(columns.last().unwrap() - columns[0] < 10.0, "{columns:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn plot_and_merge_agree_on_percentiles(
        digits in 1_u8..=3,
        values in proptest::collection::vec((1_u64..10_000_000_000, 1_u64..30_000), 1..6),
        tag in proptest::option::of("[a-z]{1,3}"),
    ) {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 10_000_000_000, digits).unwrap();
        for (value, count) in values {
            histogram.record_n(value, count).unwrap();
        }
        let mut writer = hlog::Writer::new(Vec::new());
        let (start, duration) = (SystemTime::UNIX_EPOCH, Duration::from_secs(1));
        let logged = hlog::Logged { tag: tag.as_deref(), start, duration, values: &histogram };
        writer.write(&logged).unwrap();
        let saved = writer.into_inner();

        let merged = hlog::merge(&[hlog::Log::read(&saved).unwrap()], &mut |_| {}).unwrap();
        let merged = Percentiles::from(&merged.latency[&tag]);
        let drawn = read(&saved).unwrap();
        let points = &run_curves(&drawn).latencies[0].points;
        for (quantile, known) in merged.quantiles() {
            let point = points.iter().find(|point| point.quantile == quantile.share());
            let firm = point.filter(|point| point.is_firm).map(|point| point.latency_ns);
            prop_assert_eq!(firm, known);
        }
        prop_assert_eq!(points.last().map(|point| point.latency_ns), merged.max);
    }
}

#[test]
fn a_report_and_a_log_share_a_picture() {
    let log = read(&log(&[("response", 0, &[3_000])])).unwrap();
    let figure = draw(&[("a.json", &read_value(&report())), ("b.hlog", &log)]);
    assert_eq!(names(&figure, 0), ["b.hlog", "a.json"]);
    assert_eq!(figure.charts[1].heading, "Latency over time of b.hlog");
}

fn sweep() -> Value {
    let run = |per_s: u64| {
        let mut run = report();
        run["throughput"]["messages_per_s"] = json!(per_s);
        run
    };
    let of_outcome = |per_s: u64, outcome: &str| {
        let mut run = run(per_s);
        run["verdict"]["outcome"] = json!(outcome);
        run
    };
    json!({
        "schema": "ringback-sweep/1",
        "target": report()["target"], "config": report()["config"], "host": report()["host"],
        "rates": [
            {"rate_per_s": 1_000, "valid": true, "reasons": [], "run": run(1_000)},
            {"rate_per_s": 2_000, "valid": true, "reasons": [], "run": run(2_000)},
            {"rate_per_s": 4_000, "valid": false, "reasons": ["late"],
             "run": of_outcome(2_500, "generator_limited")},
            {"rate_per_s": 8_000, "valid": false, "reasons": ["nothing"], "run": null},
        ],
        "knee": {"rate_per_s": 2_000, "factor": 3},
        "verdict": {"valid": true, "reasons": [], "warnings": [], "interrupted": false},
    })
}

/// The rates and the latencies of a curve, and how they count.
fn points(curve: &Curve) -> Vec<(f64, f64, State)> {
    let points = curve.stretches.iter().flatten();
    points.map(|point| (point.at.0, point.at.1, point.state)).collect()
}

#[test]
fn a_sweep_shows_where_the_server_failed() {
    let mut sweep = sweep();
    let outcomes = ["passed", "missed", "server_at_fault"];
    for (probe, outcome) in sweep["rates"].as_array_mut().unwrap().iter_mut().zip(outcomes) {
        probe["run"]["verdict"]["outcome"] = json!(outcome);
    }
    let figure = draw(&[("s.json", &read_value(&sweep))]);
    let states = points(&curves(&figure, 0)[0]).into_iter().map(|(_, _, state)| state);
    let expected = [State::Certain, State::Failed, State::Failed];
    assert_eq!(states.collect::<Vec<_>>(), expected);
}

#[test]
fn a_sweep_is_its_rates() {
    let figure = draw(&[("s.json", &read_value(&sweep()))]);
    assert_eq!(figure.title, "s.json: knee at 2,000/s");
    let content = figure.charts[0].content.as_ref().unwrap();
    // It goes by the median.
    assert_eq!((content.marks[0].column, content.marks[0].ringed), (2_000.0, Some(5_000.0)));
    let [p99, p50] = content.curves.as_slice() else { panic!("two percentiles") };
    let expected = |ns| {
        let (certain, uncertain) = (State::Certain, State::Uncertain);
        [(1_000.0, ns, certain), (2_000.0, ns, certain), (2_500.0, ns, uncertain)]
    };
    assert_eq!((points(p99), points(p50)), (expected(10_000.0).into(), expected(5_000.0).into()));
}

/// A search for the highest rate at which something holds: 1,000/s passes, 2,000/s does when it is
/// asked a second time, 4,000/s fails, 8,000/s is not valid.
fn search(assertion: &str) -> Value {
    let mut search = sweep();
    search["schema"] = json!("ringback-find-max/1");
    let mut probes = search["rates"].take();
    search.as_object_mut().unwrap().remove("rates");
    search["assertions"] = json!([assertion]);
    for (key, value) in [("start_per_s", 1_000), ("least_per_s", 1), ("resolution", 1)] {
        search["config"][key] = json!(value);
    }
    for probe in probes.as_array_mut().unwrap() {
        probe["purpose"] = json!("double");
        probe["passed"] = probe["valid"].clone();
        probe["repeated"] = json!(false);
    }
    probes[2]["run"]["verdict"]["outcome"] = json!("missed");
    probes[3]["run"] = probes[2]["run"].clone();
    probes[3]["run"]["throughput"]["messages_per_s"] = json!(7_000);
    probes[3]["run"]["verdict"]["outcome"] = json!("generator_limited");
    probes.as_array_mut().unwrap().reverse();
    let mut again = probes[2].clone();
    again["run"]["throughput"]["messages_per_s"] = json!(1_999);
    probes.as_array_mut().unwrap().push(again);
    search["probes"] = probes;
    search["bracket"] = json!({
        "highest_passed_per_s": 2_000, "lowest_failed_per_s": 4_000, "confirmed": true,
        "limited_by": [],
    });
    search
}

#[test]
fn a_search_is_the_last_probe_of_every_rate() {
    let figure = draw(&[("f.json", &read_value(&search("p99<1ms")))]);
    assert_eq!(figure.title, "f.json: holds 2,000/s");
    let found = points(&curves(&figure, 0)[0]);
    let found: Vec<_> = found.into_iter().map(|(rate, _, state)| (rate, state)).collect();
    let expected = [
        (1_000.0, State::Certain),
        (1_999.0, State::Certain),
        (2_500.0, State::Failed),
        (7_000.0, State::Uncertain),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_does_not_fit_in_one_picture_is_refused() {
    let [report, sweep] = [report(), sweep()].map(|value| read_value(&value));
    let sweeps = draw(&[("a", &sweep), ("b", &sweep)]);
    assert_eq!(sweeps.title, "Latency against throughput of 2 sweeps");
    let error = figure(vec![("a".to_owned(), report), ("b".to_owned(), sweep)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a is a run and b is a sweep: they do not fit in one picture; draw them one by one"
    );
}

#[test]
fn what_cannot_be_drawn_says_why() {
    let mut other = report();
    other["schema"] = json!("ringback-load/99");
    let mut empty = report();
    empty["latency_ns"]["service"] = json!({"count": 0});
    empty["latency_ns"]["response"] = json!(null);
    let cases: [(Vec<u8>, &str); 16] = [
        (b"".to_vec(), "it is neither a JSON report nor a log of histograms"),
        (b"\x7fELF\x02".to_vec(), "it is neither a JSON report nor a log of histograms"),
        (b"{\"schema\": \"ringback-load/1\"".to_vec(), "it is not a whole JSON report: EOF"),
        (b"{\"schema\": \"ringback-load/1\"}".to_vec(), "missing field `target`"),
        (b"# nothing\n".to_vec(), "line 1: there is no"),
        (b"\"StartTimestamp\"\nx\n".to_vec(), "line 2: it is"),
        (b"a,b,c,d\n".to_vec(), "it is a table in CSV: draw the log"),
        (b"Running 3s test @ http://a\n".to_vec(), "it is the output of wrk or wrk2: draw the log"),
        (b"[{\"latency\": 1}]".to_vec(), "it is JSON of another tool"),
        (b"{\"type\": \"Metric\"}\n{\"type\": \"Point\"}\n".to_vec(), "it is JSON of another tool"),
        ([report().to_string(), report().to_string()].concat().into(), "it holds several JSON"),
        (log(&[("a", 0, &[1])])[..150].to_vec(), "line"),
        (b"{}".to_vec(), "it is JSON of another tool"),
        (other.to_string().into_bytes(), "its schema is \"ringback-load/99\""),
        (empty.to_string().into_bytes(), "it holds no latencies"),
        (b"Value Percentile\n\n 1.0 0.5 5 2.0\n".to_vec(), "it is a percentile table (.hgrm)"),
    ];
    for (saved, words) in cases {
        let error = read(&saved).unwrap_err().to_string();
        assert!(error.contains(words), "{words:?} in {error:?}");
    }
}

#[test]
fn several_runs_share_what_they_have_in_common() {
    let mut closed = report();
    closed["config"]["loop"] = json!("closed");
    closed["config"]["rate_per_s"] = json!(null);
    closed["config"]["depth"] = json!(1);
    closed["latency_ns"]["response"] = json!(null);
    let (open, closed) = (read_value(&report()), read_value(&closed));
    let figure = draw(&[("a.json", &open), ("b.json", &closed)]);
    assert_eq!(figure.title, "Latency of 2 runs");
    assert!(!figure.facts.iter().any(|fact| fact.contains("loop")), "{:?}", figure.facts);
    assert_eq!(figure.facts.len(), 3);
    let kinds = names(&figure, 0);
    assert_eq!(kinds, ["b.json, service time", "a.json, response time"]);
    let alike = draw(&[("a.json", &open), ("b.json", &open)]);
    assert_eq!(names(&alike, 0), ["b.json", "a.json"]);
}

#[test]
fn a_comparison_is_a_curve_of_each_server() {
    let report: Report = serde_json::from_value(report()).unwrap();
    let mut latency = Histogram::new(3).unwrap();
    latency.record_n(5000, 100).unwrap();
    let none = Histogram::new(3).unwrap();
    let draw = |of_a, of_b, outcome| {
        let servers = [
            Compared { name: "a", command: "x {addr}", latency: of_a },
            Compared { name: "b", command: "y <{addr}>", latency: of_b },
        ];
        let reasons = ["2 of 3 blocks are not valid".to_owned()];
        let setting = (&report.config, &report.host.host);
        comparison_picture(&servers, setting, (outcome, &reasons))
    };
    let valid = draw(&latency, &latency, Outcome::Passed);
    for words in
        ["a: x {addr}", "b: y &lt;{addr}&gt;", "a: p50 5.0", "b: p50 5.0", "response time: due"]
    {
        assert!(valid.contains(words), "{words} in {valid}");
    }
    assert!(!valid.contains("2 of 3"), "{valid}");
    let half = draw(&latency, &none, Outcome::ServerAtFault);
    assert!(half.contains("a: p50 ") && half.contains("INVALID: 2 of 3 blocks"), "{half}");
    let nothing = draw(&none, &none, Outcome::ServerAtFault);
    assert!(nothing.contains("no latency was measured"), "{nothing}");
}
