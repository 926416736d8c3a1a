//! Probes without a run.

use serde_json::json;

use crate::load::report::probes::Probe;
use crate::load::report::testing::report;

/// A probe with this outcome, as reports name it, and this p50 of its responses.
pub(super) fn probe(rate: u64, outcome: &str, p50_ns: u64) -> Probe {
    let valid = outcome == "passed" || outcome == "missed";
    let reasons = if valid { vec![] } else { vec!["it waited"] };
    let mut run = report();
    run["latency_ns"]["response"]["p50"] = p50_ns.into();
    run["verdict"]["valid"] = valid.into();
    run["verdict"]["outcome"] = outcome.into();
    let probe = json!({"rate_per_s": rate, "valid": valid, "reasons": reasons, "run": run});
    serde_json::from_value(probe).expect("it is a probe")
}
