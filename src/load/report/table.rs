//! Latencies in rows and as a picture, the same in every report for people.

use std::fmt::{self, Write};

use hdrhistogram::Histogram;

use super::document::Percentiles;
use super::histogram::draw;
use crate::load::config::quantile::Quantile;
use crate::load::format::nanos;

pub(super) fn write_head(out: &mut impl Write) -> fmt::Result {
    writeln!(
        out,
        "\nLatency     {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "min", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "max"
    )
}

/// One row; what too few samples cannot say is a dash.
pub(super) fn write_row(out: &mut impl Write, name: &str, latency: &Percentiles) -> fmt::Result {
    let quantiles = latency.quantiles().into_iter().map(|(_, ns)| ns);
    let mean = latency.mean.map(|ns| ns.round() as u64);
    let columns = [latency.min, mean].into_iter().chain(quantiles).chain([latency.max]);
    let columns: Vec<String> =
        columns.map(|ns| format!("{:>9}", ns.map_or("-".to_owned(), nanos))).collect();
    writeln!(out, "  {name:<10}{}", columns.join(" "))
}

/// The picture of the row that matters most, after the last row.
pub(super) fn write_picture(
    out: &mut impl Write,
    title: &str,
    histogram: &Histogram<u64>,
) -> fmt::Result {
    if Quantile::P99_99.of(histogram).is_none() {
        writeln!(out, "  - : fewer than ten samples beyond, too few to say")?;
    }
    write!(out, "\n{title}\n{}", draw(histogram))
}
