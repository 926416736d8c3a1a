//! The comparison for people: what was compared, each block, the ratio, and what it says.

use std::fmt::{self, Write};

use super::super::block::{Block, Side};
use super::super::judgement::Judgement;
use super::super::metric::Better;
use super::super::statistics::{CONFIDENCE, Estimate, Interval};
use super::super::{Comparison, Findings, GateFinding};
use crate::load::report::format::{count, percent};
use crate::load::report::text as run_text;

/// The comparison in lines of at most 100 columns, except where a name or a reason is longer.
pub fn text(findings: &Findings) -> String {
    let mut out = String::new();
    write_findings(&mut out, findings).expect("writing to a string does not fail");
    out
}

fn write_findings(out: &mut String, findings: &Findings) -> fmt::Result {
    write_setting(out, findings)?;
    write_blocks(out, findings)?;
    write_estimates(out, findings)?;
    write_claims(out, findings)?;
    write_gates(out, findings)?;
    write_judgement(out, findings)
}

fn write_setting(out: &mut String, findings: &Findings) -> fmt::Result {
    let comparison = &findings.comparison;
    writeln!(out, "ringback-load compare: {}", run_text::load(&comparison.config))?;
    writeln!(out, "  a          {}", comparison.a)?;
    writeln!(out, "  b          {}", comparison.b)?;
    writeln!(
        out,
        "  metric     {}, {} is better",
        comparison.metric.description(),
        comparison.metric.better().name(),
    )?;
    writeln!(
        out,
        "  servers    one at a time{}, started for each run and stopped after it",
        run_text::on_cpus(&comparison.server_cpus),
    )?;
    writeln!(out, "  generator  {} a run", run_text::generator(&comparison.config))?;
    if let Some(reconnect) = run_text::reconnect(&comparison.config) {
        writeln!(out, "  reconnect  {reconnect}")?;
    }
    run_text::write_host(out, &findings.host, "")?;
    findings.notes.iter().try_for_each(|note| writeln!(out, "  note       {note}"))
}

fn write_blocks(out: &mut String, findings: &Findings) -> fmt::Result {
    writeln!(out, "\nBlock  order {:>14} {:>14} {:>8} {:>8}", "a", "b", "b/a", "control")?;
    for (block, number) in findings.blocks.iter().zip(1..) {
        write!(out, "{number:>5}  {:<5}", block.order)?;
        write_block(out, &findings.comparison, block)?;
    }
    Ok(())
}

fn write_block(out: &mut String, comparison: &Comparison, block: &Block) -> fmt::Result {
    let mean = |side| {
        block.mean(side).map_or_else(|| "-".to_owned(), |value| comparison.metric.format(value))
    };
    let (a, b) = (mean(Side::A), mean(Side::B));
    write!(out, " {a:>14} {b:>14}")?;
    match (block.ratio(), block.control()) {
        (Some(block_ratio), Some(control)) => {
            writeln!(out, " {:>8} {:>8}", ratio(block_ratio), ratio(control))
        }
        _ => {
            writeln!(out, "  not valid")?;
            block.reasons().try_for_each(|reason| writeln!(out, "         {reason}"))
        }
    }
}

fn write_estimates(out: &mut String, findings: &Findings) -> fmt::Result {
    let (Some(found), Some(control)) = (&findings.ratio, &findings.control) else { return Ok(()) };
    let valid = findings.blocks.iter().filter(|block| block.is_valid()).count();
    writeln!(
        out,
        "\nRatio b/a    {}  median of {} block{}, {} interval (over blocks)",
        interval(found),
        count(valid as u64),
        if valid == 1 { "" } else { "s" },
        percent(CONFIDENCE),
    )?;
    writeln!(out, "Control      {}  the same of each server against itself", interval(control))
}

fn write_claims(out: &mut String, findings: &Findings) -> fmt::Result {
    let width = findings.claims.iter().map(|claim| claim.assertion.chars().count()).max();
    for (place, claim) in findings.claims.iter().enumerate() {
        writeln!(
            out,
            "{:<12} {}: {:<width$}  {:<6}  in {} of {} runs, median {}",
            if place == 0 { "Assertions" } else { "" },
            claim.side.name(),
            claim.assertion,
            if claim.is_met() { "met" } else { "MISSED" },
            claim.met_in,
            claim.runs,
            run_text::measured(claim.median),
            width = width.unwrap_or_default(),
        )?;
    }
    Ok(())
}

fn write_gates(out: &mut String, findings: &Findings) -> fmt::Result {
    for (place, GateFinding { gate, is_met }) in findings.gates.iter().enumerate() {
        let title = if place == 0 { "Fail if" } else { "" };
        let answer = match is_met {
            Some(true) => "MET",
            Some(false) => "not met",
            None => "cannot be said",
        };
        writeln!(out, "{title:<12} {gate}  {answer}")?;
    }
    Ok(())
}

fn write_judgement(out: &mut String, findings: &Findings) -> fmt::Result {
    if !findings.is_valid() {
        writeln!(out, "\nVerdict      {}", findings.outcome().verdict())?;
        return findings.invalid.iter().try_for_each(|reason| writeln!(out, "  - {reason}"));
    }
    match (&findings.judgement, &findings.ratio) {
        (Judgement::Better(side), Some(ratio)) => {
            let Advantage { direction, median, least, most } = advantage(findings, *side, ratio);
            writeln!(
                out,
                "\nVerdict      {} is better: its {} is {} {direction} (between {} and {})",
                side.name(),
                findings.comparison.metric.description(),
                percent(median),
                percent(least),
                percent(most),
            )
        }
        (Judgement::Inconclusive(doubts), _) => {
            writeln!(out, "\nVerdict      inconclusive")?;
            doubts.iter().try_for_each(|doubt| writeln!(out, "  - {doubt}"))
        }
        (Judgement::Better(_), None) => unreachable!("a judgement rests on a ratio"),
    }
}

/// How much more or less of the metric the better server has, as shares of what the other has.
pub(super) struct Advantage {
    pub(super) direction: &'static str,
    pub(super) median: f64,
    least: f64,
    most: f64,
}

pub(super) fn advantage(findings: &Findings, better: Side, ratio: &Estimate) -> Advantage {
    let metric = findings.comparison.metric;
    let Estimate { median, interval } = match better {
        Side::B => *ratio,
        Side::A => ratio.reciprocal(),
    };
    let Interval { low, high } = interval.expect("who is better is found by an interval");
    let (direction, [median, least, most]) = match metric.better() {
        Better::More => ("higher", [median - 1.0, low - 1.0, high - 1.0]),
        Better::Less => ("lower", [1.0 - median, 1.0 - high, 1.0 - low]),
    };
    Advantage { direction, median, least, most }
}

fn interval(estimate: &Estimate) -> String {
    match estimate.interval {
        Some(Interval { low, high }) => {
            format!("{} [{}, {}]", ratio(estimate.median), ratio(low), ratio(high))
        }
        None => format!("{} [no interval]", ratio(estimate.median)),
    }
}

/// Four digits after the point near 1, where they tell something, and four in all elsewhere.
fn ratio(ratio: f64) -> String {
    let digits_before_point = ratio.abs().max(1.0).log10().floor() as usize;
    format!("{ratio:.0$}", 4_usize.saturating_sub(digits_before_point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_keep_their_digits() {
        for (value, text) in [(1.0, "1.0000"), (0.987_65, "0.9877"), (12.345, "12.345")] {
            assert_eq!(ratio(value), text);
        }
        assert_eq!(ratio(123_456.7), "123457");
    }
}
