//! Probes without a run.

use serde_json::json;

use crate::load::report::probes::Probe;

/// A probe with this outcome, as reports name it, and this p50 of its responses.
pub(super) fn probe(rate: u64, outcome: &str, p50_ns: u64) -> Probe {
    let valid = outcome == "passed" || outcome == "missed";
    let reasons = if valid { vec![] } else { vec!["it waited"] };
    let latency = json!({
        "count": 9, "min": 1, "mean": 1.0, "p50": p50_ns, "p90": null, "p99": null, "p99_9": null,
        "p99_99": null, "max": p50_ns,
    });
    let run = json!({
        "schema": "ringback-load/2",
        "target": {"name": "10.0.0.1:7", "address": "10.0.0.1:7", "embedded": false},
        "config": {
            "loop": "open", "protocol": "raw", "connections": 1, "ramp_up_ns": 0, "sources": [],
            "size_bytes": 64, "sizes": "64", "duration_ns": 1, "warmup_ns": 1, "rate_per_s": rate,
            "depth": 1, "threads": 1, "cpus": [], "seed": 1,
        },
        "host": {
            "kernel": "6.18.0", "cpu_model": "Fast CPU", "cpus": 2, "affinity": "0-1",
            "governors": [], "command_line": [], "began": "2026-11-24T17:40:59Z", "version": "1",
            "hiccup_ns": {"count": 0},
        },
        "totals": {
            "intended": 1, "unsent": 0, "sent": 1, "received": 1, "lost": 0, "corrupted": 0,
            "connect_errors": 0, "connections": 1, "bytes_sent": 1, "bytes_received": 1,
        },
        "throughput": {"messages_per_s": 1.0, "bytes_per_s": 1.0},
        "latency_ns": {"service": latency, "response": latency, "send_lag": null},
        "verdict": {
            "valid": valid, "outcome": outcome, "reasons": reasons, "warnings": [], "endings": {},
            "interrupted": false, "measured_ns": 1, "rate_reached": valid,
        },
    });
    let probe = json!({"rate_per_s": rate, "valid": valid, "reasons": reasons, "run": run});
    serde_json::from_value(probe).expect("it is a probe")
}
