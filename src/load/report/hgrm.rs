//! A table of percentiles (`.hgrm`), as `outputPercentileDistribution` of HdrHistogram prints it
//! and the usual plotters read it.

use std::fmt::{self, Write};

use hdrhistogram::Histogram;

/// Plotters take values for milliseconds. Six decimals keep the nanoseconds, three would leave
/// little of a loopback's latency.
const NS_PER_MS: f64 = 1e6;
/// Lines from one halving of the distance to 100 % to the next.
const TICKS_PER_HALF_DISTANCE: u32 = 5;

/// The distribution of a histogram of nanoseconds, in milliseconds.
pub fn hgrm(name: &str, histogram: &Histogram<u64>) -> String {
    let mut out = String::new();
    write_table(&mut out, name, histogram).expect("writing to a string does not fail");
    out
}

fn write_table(out: &mut String, name: &str, histogram: &Histogram<u64>) -> fmt::Result {
    writeln!(out, "#[{name} in milliseconds, by ringback-load {}]", env!("CARGO_PKG_VERSION"))?;
    writeln!(
        out,
        "{:>14} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut samples = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        samples += step.count_since_last_iteration();
        let quantile = step.quantile_iterated_to();
        write!(
            out,
            "{:>14.6} {quantile:>2.12} {samples:>10}",
            millis(step.value_iterated_to() as f64)
        )?;
        match quantile {
            1.0 => writeln!(out)?,
            _ => writeln!(out, " {:>14.2}", 1.0 / (1.0 - quantile))?,
        }
    }
    writeln!(
        out,
        "#[Mean    = {:>12.6}, StdDeviation   = {:>12.6}]",
        millis(histogram.mean()),
        millis(histogram.stdev()),
    )?;
    writeln!(
        out,
        "#[Max     = {:>12.6}, Total count    = {:>12}]",
        millis(histogram.max() as f64),
        histogram.len(),
    )?;
    let (buckets, sub_buckets) = buckets(histogram);
    writeln!(out, "#[Buckets = {buckets:>12}, SubBuckets     = {sub_buckets:>12}]")
}

fn millis(ns: f64) -> f64 {
    ns / NS_PER_MS
}

/// How the histogram divides its range: ranges that double, each in so many steps.
fn buckets(histogram: &Histogram<u64>) -> (u32, u64) {
    let largest_at_single_unit = 2 * 10_u64.pow(histogram.sigfig().into());
    let sub_buckets = largest_at_single_unit.next_power_of_two();
    let mut buckets = 1;
    let mut beyond = u128::from(sub_buckets) << histogram.low().ilog2();
    while beyond <= u128::from(histogram.high()) {
        beyond <<= 1;
        buckets += 1;
    }
    (buckets, sub_buckets)
}
