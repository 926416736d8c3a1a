//! Documents without a run.

use serde_json::{Value, json};

use super::document::SCHEMA;

/// A run that is valid: an open loop of 20,000 messages a second.
pub(in crate::load) fn report() -> Value {
    json!({
        "schema": SCHEMA,
        "target": {"name": "10.0.0.1:7", "address": "10.0.0.1:7", "embedded": false},
        "config": {
            "loop": "open", "protocol": "raw", "connections": 64, "ramp_up_ns": 0, "sources": [],
            "size_bytes": 64, "sizes": "64", "duration_ns": 1, "warmup_ns": 1, "rate_per_s": 20_000,
            "depth": 1024, "threads": 1, "cpus": [], "seed": 1,
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
        "throughput": {"messages_per_s": 19_999.6, "bytes_per_s": 1.0},
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
        "verdict": {
            "valid": true, "outcome": "passed", "reasons": [], "warnings": [], "endings": {},
            "interrupted": false, "measured_ns": 1, "rate_reached": true,
        },
    })
}
