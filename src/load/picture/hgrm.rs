//! Percentile tables as HdrHistogram prints them (`.hgrm`).

use super::super::chart::{PercentilePoint, PercentileSeries, is_firm};
use super::run::explain;
use super::{ReadError, Run};

/// Reads a table: values in milliseconds, percentiles, counts; lines with `#` sum it up.
pub(super) fn read(text: &str) -> Result<Run, ReadError> {
    /// Of the line that is quoted.
    const QUOTED: usize = 60;
    let rows = text.lines().enumerate().skip_while(|(_, line)| !line.trim().starts_with("Value"));
    let mut points: Vec<(f64, f64, u64)> = Vec::new();
    for (number, line) in rows.skip(1) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        points.push(row(line).ok_or_else(|| ReadError::Table {
            line: number + 1,
            text: line.chars().take(QUOTED).collect(),
        })?);
    }
    let samples = points.iter().map(|(_, _, count)| *count).max().unwrap_or(0);
    let points = points.into_iter().map(|(ms, quantile, _)| PercentilePoint {
        // The last row stands for 100 %: one of so many is as slow as the slowest.
        quantile: quantile.min(1.0 - 1.0 / samples.max(1) as f64),
        latency_ns: (ms * 1e6).round() as u64,
        is_firm: is_firm(quantile, samples),
    });
    let latencies = PercentileSeries { name: name(text), points: points.collect() };
    Ok(Run { latencies: vec![latencies], ..Run::default() })
}

/// What the first comment says that the values are, as in `#[service in milliseconds, by ...]`.
fn name(text: &str) -> String {
    let comment = text.lines().next().and_then(|line| line.strip_prefix("#["));
    let tag = comment.and_then(|comment| comment.split_once(" in milliseconds"));
    tag.map_or_else(|| "latency".to_owned(), |(tag, _)| explain(tag))
}

/// Value, percentile and the count up to it; what follows says the percentile otherwise.
fn row(line: &str) -> Option<(f64, f64, u64)> {
    let mut fields = line.split_whitespace();
    let ms: f64 = fields.next()?.parse().ok()?;
    let quantile: f64 = fields.next()?.parse().ok()?;
    let count = fields.next()?.parse().ok()?;
    (ms >= 0.0 && ms.is_finite() && (0.0..=1.0).contains(&quantile))
        .then_some((ms, quantile, count))
}
