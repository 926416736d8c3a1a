//! Latencies as a table, the same in every report for people: a column a kind, a row a statistic.

use hdrhistogram::Histogram;

use super::document::Percentiles;
use super::page::{In, Page, View};
use super::words::nanos_or_dash;
use crate::load::config::quantile::Quantile;
use crate::load::format::{count, nanos};

/// Columns of a table that fits a line beside the names of its rows.
const MAX_KINDS: usize = 5;
/// Characters of a column, its gap included.
const COLUMN: usize = 12;

/// A kind of latency: its name, the statistics, and the distribution behind them.
pub(super) struct Kind<'a> {
    pub(super) name: String,
    pub(super) known: &'a Percentiles,
    pub(super) histogram: &'a Histogram<u64>,
}

/// Adds tables of as many kinds each as fit a line; what too few samples cannot say is a dash.
pub(super) fn add(page: &mut Page, shown: In, kinds: &[Kind<'_>], view: &View) {
    for kinds in kinds.chunks(MAX_KINDS) {
        page.blank(shown);
        page.table(shown, table(kinds, &quantiles(view)));
    }
    let is_withheld = |kind: &Kind<'_>| Quantile::P99_99.of(kind.histogram).is_none();
    if kinds.iter().any(is_withheld) {
        page.row(shown, "-", "too few samples: fewer than ten are beyond");
    }
}

/// The percentiles that every report shows, and those that were asked for.
fn quantiles(view: &View) -> Vec<Quantile> {
    let mut quantiles: Vec<Quantile> =
        Quantile::SHOWN.into_iter().chain(view.percentiles.iter().copied()).collect();
    quantiles.sort_unstable();
    quantiles.dedup();
    quantiles
}

fn table(kinds: &[Kind<'_>], quantiles: &[Quantile]) -> String {
    let row = |name: &str, cell: &dyn Fn(&Kind<'_>) -> String| {
        let cells: String = kinds.iter().map(|kind| format!("{:>COLUMN$}", cell(kind))).collect();
        format!("  {name:<9}{cells}\n")
    };
    let mean = |ns: f64| nanos(ns.round() as u64);
    let mut lines = vec![
        row("", &|kind| kind.name.clone()),
        row("count", &|kind| count(kind.known.count)),
        row("min", &|kind| nanos_or_dash(kind.known.min)),
        row("mean", &|kind| kind.known.mean.map_or("-".to_owned(), mean)),
    ];
    lines.extend(
        quantiles.iter().map(|quantile| {
            row(&quantile.name(), &|kind| nanos_or_dash(quantile.of(kind.histogram)))
        }),
    );
    lines.push(row("max", &|kind| nanos_or_dash(kind.known.max)));
    lines.concat()
}
