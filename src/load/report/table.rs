//! Latencies in rows and as a picture, the same in every report for people.

use std::fmt::{self, Write};

use hdrhistogram::Histogram;

use super::Quantile;
use super::format::nanos;
use super::histogram::draw;

/// The names of the columns.
pub(super) fn write_head(out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "\nLatency     {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "min", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "max"
    )
}

/// One row; what too few samples cannot say is a dash.
pub(super) fn write_row(out: &mut String, name: &str, histogram: &Histogram<u64>) -> fmt::Result {
    let if_any = |value: u64| (!histogram.is_empty()).then_some(value);
    let columns = [
        if_any(histogram.min()),
        if_any(histogram.mean().round() as u64),
        Quantile::P50.of(histogram),
        Quantile::P90.of(histogram),
        Quantile::P99.of(histogram),
        Quantile::P99_9.of(histogram),
        Quantile::P99_99.of(histogram),
        if_any(histogram.max()),
    ];
    write!(out, "  {name:<10}")?;
    for value in columns {
        write!(out, "{:>9} ", value.map_or("-".to_owned(), nanos))?;
    }
    out.truncate(out.trim_end().len());
    writeln!(out)
}

/// The picture of the row that matters most, after the last row.
pub(super) fn write_picture(
    out: &mut String,
    title: &str,
    histogram: &Histogram<u64>,
) -> fmt::Result {
    if Quantile::P99_99.of(histogram).is_none() {
        writeln!(out, "  - : fewer than ten samples beyond, too few to say")?;
    }
    write!(out, "\n{title}\n{}", draw(histogram))
}
