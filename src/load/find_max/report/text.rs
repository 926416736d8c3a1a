//! The search for people: each probe, the bracket, and what limits it.

use std::fmt::{self, Write};

use super::super::Findings;
use crate::load::probe_table;
use crate::load::report::format::{count, percent};
use crate::load::report::text as run_text;

/// The search in lines of at most 120 columns, except where a name or a reason is longer.
pub fn text(findings: &Findings) -> String {
    let mut out = String::new();
    write_findings(&mut out, findings).expect("writing to a string does not fail");
    out
}

fn write_findings(out: &mut String, findings: &Findings) -> fmt::Result {
    write_setting(out, findings)?;
    writeln!(out, "\nResponse: from the intended send to the reply")?;
    writeln!(out, "         {}", probe_table::heading())?;
    for trial in &findings.trials {
        let row = probe_table::row(&trial.probe);
        let outcome = match (trial.has_passed, trial.is_repeated) {
            (true, _) if !trial.probe.is_valid() => "passed, late as it was sent",
            (true, _) => "passed",
            (false, true) => "INVALID, made again",
            (false, false) => "failed",
        };
        writeln!(out, "{:<8} {row}  {outcome}", trial.purpose.name())?;
    }
    write_bracket(out, findings)?;
    write_limit(out, findings)?;
    let reasons = findings.invalid_reasons();
    writeln!(out, "Verdict      {}", findings.outcome().verdict())?;
    reasons.iter().try_for_each(|reason| writeln!(out, "  - {reason}"))?;
    findings.warnings().iter().try_for_each(|warning| writeln!(out, "  ! {warning}"))
}

fn write_setting(out: &mut String, findings: &Findings) -> fmt::Result {
    let config = &findings.quest.config;
    writeln!(out, "ringback-load find-max: {}", run_text::load_at(config, "each rate"))?;
    let mut reports = findings.trials.iter().filter_map(|trial| trial.probe.outcome.as_ref().ok());
    if let Some(report) = reports.next() {
        writeln!(out, "  target     {}", run_text::target(report))?;
    }
    let claims: Vec<&str> = config.assertions.iter().map(|claim| claim.name.as_str()).collect();
    writeln!(out, "  claim      {}", claims.join(" and "))?;
    let resolution = percent(findings.quest.bounds.resolution);
    writeln!(out, "  generator  {} a probe", run_text::generator(config))?;
    if let Some(reconnect) = run_text::reconnect(config) {
        writeln!(out, "  reconnect  {reconnect}")?;
    }
    writeln!(out, "  resolution {resolution}")?;
    run_text::write_host(out, &findings.host, "")
}

fn write_bracket(out: &mut String, findings: &Findings) -> fmt::Result {
    match findings.highest_passed {
        Some(passed) => {
            let again = if findings.is_confirmed { ", twice" } else { ", once" };
            writeln!(out, "\nHighest rate {}/s passed{again}", count(passed))?;
        }
        None => writeln!(out, "\nHighest rate none passed")?,
    }
    match findings.lowest_failed {
        Some(failed) => writeln!(out, "Lowest rate  {}/s failed", count(failed)),
        None => writeln!(out, "Lowest rate  none failed"),
    }
}

fn write_limit(out: &mut String, findings: &Findings) -> fmt::Result {
    let failures = findings.limit().map(|trial| trial.failures()).unwrap_or_default();
    failures.iter().try_for_each(|reason| writeln!(out, "  - {reason}"))
}
