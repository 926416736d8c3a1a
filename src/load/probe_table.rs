//! Probes as a table: a row for each rate.

use super::probe::Probe;
use super::report::format::{count, nanos};
use super::report::{Quantile, Report};

/// The names of the columns that [`row`] fills.
pub(super) fn heading() -> String {
    columns(["rate", "answered", "p50", "p90", "p99", "p99.9", "max", "CPU/message"])
}

/// What was measured at a rate: the response, and the server's CPU time per message.
pub(super) fn row(probe: &Probe) -> String {
    let rate = format!("{}/s", count(probe.rate));
    let Ok(report) = &probe.outcome else {
        return columns([rate.as_str(), "-", "-", "-", "-", "-", "-", "-"]);
    };
    let percentile = |quantile| or_dash(probe.latency_ns(quantile));
    let max = report.latency.main().max();
    columns([
        rate.as_str(),
        &answered(report),
        &percentile(Quantile::P50),
        &percentile(Quantile::P90),
        &percentile(Quantile::P99),
        &percentile(Quantile::P99_9),
        &or_dash((max > 0).then_some(max)),
        &or_dash(report.server_cpu_ns_per_message.map(|ns| ns.round() as u64)),
    ])
}

fn answered(report: &Report) -> String {
    format!("{}/s", count(report.throughput.messages_per_s.round() as u64))
}

fn or_dash(ns: Option<u64>) -> String {
    ns.map_or_else(|| "-".to_owned(), nanos)
}

fn columns(cells: [&str; 8]) -> String {
    let [rate, answered, latencies @ .., cpu] = cells;
    let latencies: String = latencies.iter().map(|cell| format!(" {cell:>9}")).collect();
    format!("{rate:>12} {answered:>12}{latencies} {cpu:>12}")
}
