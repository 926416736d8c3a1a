//! What was saved is drawn, or says why it cannot be.

use serde_json::{Value, json};

use super::super::report::SCHEMA;
use super::*;

fn report() -> Value {
    json!({
        "schema": SCHEMA,
        "target": {"name": "10.0.0.1:7", "address": "10.0.0.1:7", "embedded": false},
        "config": {
            "loop": "open", "protocol": "raw", "connections": 64, "size_bytes": 64,
            "rate_per_s": 20_000, "depth": 1024,
        },
        "host": {"kernel": "6.18.0", "cpu_model": "Fast CPU", "cpus": 2},
        "throughput": {"messages_per_s": 19_999.6},
        "latency_ns": {
            "service": {
                "count": 5000, "min": 1000, "mean": 4000.0, "p50": 4000, "p90": 8000, "p99": 9000,
                "p99_9": null, "p99_99": null, "max": 50_000,
            },
            "response": {
                "count": 5000, "min": 2000, "mean": 5000.0, "p50": 5000, "p90": 9000, "p99": 10_000,
                "p99_9": null, "p99_99": null, "max": 60_000,
            },
            "send_lag": null,
        },
        "verdict": {"valid": true, "reasons": []},
    })
}

fn read_json(report: &Value) -> Result<Run, ReadError> {
    read(report.to_string().as_bytes())
}

#[test]
fn a_report_is_its_known_percentiles() {
    let run = read_json(&report()).unwrap();
    assert_eq!(run.target.as_deref(), Some("10.0.0.1:7"));
    assert_eq!(
        run.facts,
        [
            "open loop at 20,000/s",
            "64 connections × 64 B, raw",
            "20,000/s answered",
            "Linux 6.18.0, 2 × Fast CPU",
        ]
    );
    assert_eq!((run.warning, run.timeline), (None, None));
    let [response, service] = run.latencies.as_slice() else { panic!("response and service") };
    assert!(response.name.starts_with("response") && service.name.starts_with("service"));
    let points: Vec<_> = response
        .points
        .iter()
        .map(|point| (point.quantile, point.latency_ns, point.is_firm))
        .collect();
    assert_eq!(
        points,
        [
            (0.0, 2000, true),
            (0.5, 5000, true),
            (0.9, 9000, true),
            (0.99, 10_000, true),
            (0.9998, 60_000, false),
        ]
    );
}

#[test]
fn an_invalid_report_says_so_in_its_picture() {
    let mut report = report();
    report["verdict"] = json!({"valid": false, "reasons": ["3 messages were lost", "late"]});
    let run = read_json(&report).unwrap();
    let figure = of_runs(vec![("a.json".to_owned(), run.clone())]);
    assert_eq!(figure.warnings, ["INVALID: 3 messages were lost; late"]);
    let figure = of_runs(vec![("a.json".to_owned(), run.clone()), ("b.json".to_owned(), run)]);
    assert_eq!(figure.warnings[1], "b.json: INVALID: 3 messages were lost; late");
}

#[test]
fn a_percentile_table_is_in_milliseconds() {
    let table = "\
       Value     Percentile TotalCount 1/(1-Percentile)

       0.034 0.000000000000          1           1.00
       0.250 0.500000000000        500           2.00
       1.500 0.990000000000        990         100.00
      40.000 1.000000000000       1000
#[Mean    =        0.300, StdDeviation   =        0.100]
#[Max     =       40.000, Total count    =         1000]
#[Buckets =           26, SubBuckets     =         2048]
";
    let run = read(table.as_bytes()).unwrap();
    let points: Vec<_> = run.latencies[0]
        .points
        .iter()
        .map(|point| (point.quantile, point.latency_ns, point.is_firm))
        .collect();
    assert_eq!(
        points,
        [
            (0.0, 34_000, true),
            (0.5, 250_000, true),
            (0.99, 1_500_000, true),
            (0.999, 40_000_000, false),
        ]
    );
}

#[test]
fn what_cannot_be_drawn_says_why() {
    let mut other = report();
    other["schema"] = json!("ringback-load/99");
    let mut empty = report();
    empty["latency_ns"]["service"] = json!({"count": 0, "min": null, "mean": null, "p50": null, "p90": null, "p99": null,
               "p99_9": null, "p99_99": null, "max": null});
    empty["latency_ns"]["response"] = json!(null);
    let cases: [(Vec<u8>, &str); 8] = [
        (b"".to_vec(), "it is neither a JSON report nor a percentile table"),
        (b"\x7fELF\x02".to_vec(), "it is neither a JSON report nor a percentile table"),
        (b"{\"schema\": \"ringback-load/1\"".to_vec(), "it is not a whole JSON report: EOF"),
        (b"{\"schema\": \"ringback-load/1\"}".to_vec(), "missing field `target`"),
        (b"{}".to_vec(), "its schema is missing"),
        (other.to_string().into_bytes(), "its schema is \"ringback-load/99\""),
        (empty.to_string().into_bytes(), "it holds no latencies"),
        (b"Value Percentile\n\n 1.0 0.5 x 2.0\n".to_vec(), "its line 3 is not one of a percentile"),
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
    let (open, closed) = (read_json(&report()).unwrap(), read_json(&closed).unwrap());
    let figure = of_runs(vec![("a.json".to_owned(), open.clone()), ("b.json".to_owned(), closed)]);
    assert_eq!(figure.title, "Latency of 2 runs");
    assert!(!figure.facts.iter().any(|fact| fact.contains("loop")), "{:?}", figure.facts);
    assert_eq!(figure.facts.len(), 3);
    let [Panel::Percentiles(curve)] = figure.panels.as_slice() else { panic!("one panel") };
    let names: Vec<_> = curve.series.iter().map(|series| series.name.as_str()).collect();
    assert!(names[0].starts_with("a.json, response") && names[1].starts_with("b.json, service"));
    let alike = of_runs(vec![("a.json".to_owned(), open.clone()), ("b.json".to_owned(), open)]);
    let [Panel::Percentiles(curve)] = alike.panels.as_slice() else { panic!("one panel") };
    assert_eq!(curve.series[1].name, "b.json");
}
