//! The sweep for people: a row for each rate, and the knee.

use std::fmt::{self, Write};

use super::super::{Findings, KNEE_FACTOR};
use crate::load::probe_table;
use crate::load::report::format::count;
use crate::load::report::text as run_text;

/// The sweep in lines of at most 110 columns, except where a name or a reason is longer.
pub fn text(findings: &Findings) -> String {
    let mut out = String::new();
    write_findings(&mut out, findings).expect("writing to a string does not fail");
    out
}

fn write_findings(out: &mut String, findings: &Findings) -> fmt::Result {
    write_setting(out, findings)?;
    writeln!(out, "\nResponse: from the intended send to the reply")?;
    writeln!(out, "  {}", probe_table::heading())?;
    for (place, probe) in findings.probes.iter().enumerate() {
        let mark = if findings.knee == Some(place) { ">" } else { " " };
        let verdict = if probe.is_valid() { "" } else { "  INVALID" };
        writeln!(out, "{mark} {}{verdict}", probe_table::row(probe))?;
    }
    write_knee(out, findings)?;
    write_assertions(out, findings)?;
    write_invalid(out, findings)
}

fn write_setting(out: &mut String, findings: &Findings) -> fmt::Result {
    let config = &findings.sweep.config;
    writeln!(out, "ringback-load sweep: {}", run_text::load_at(config, "each rate"))?;
    if let Some(report) = findings.probes.iter().find_map(|probe| probe.outcome.as_ref().ok()) {
        writeln!(out, "  target     {}", run_text::target(report))?;
    }
    writeln!(out, "  generator  {} at each rate", run_text::generator(config))?;
    if let Some(reconnect) = run_text::reconnect(config) {
        writeln!(out, "  reconnect  {reconnect}")?;
    }
    run_text::write_host(out, &findings.host, "")
}

fn write_knee(out: &mut String, findings: &Findings) -> fmt::Result {
    let rule = format!("the highest rate with a p99 of at most {KNEE_FACTOR} times the lowest");
    match findings.knee {
        Some(knee) => {
            let rate = count(findings.probes[knee].rate);
            writeln!(out, "\nKnee         {rate}/s: {rule}")
        }
        None => {
            writeln!(out, "\nKnee         none: {rule} would be the highest of all, or unknown")
        }
    }
}

fn write_assertions(out: &mut String, findings: &Findings) -> fmt::Result {
    for (number, assertion) in findings.sweep.config.assertions.iter().enumerate() {
        let title = if number == 0 { "Assertions" } else { "" };
        let is_met = |rate: &&crate::load::Probe| {
            let report = rate.outcome.as_ref().ok();
            rate.is_valid() && report.is_some_and(|report| report.findings[number].met)
        };
        let met = findings.probes.iter().filter(is_met).count();
        let all = findings.probes.len();
        write!(out, "{title:<12} {}  met at {met} of {all} rates", assertion.name)?;
        match findings.probes.iter().rfind(is_met) {
            Some(highest) => writeln!(out, ", the highest {}/s", count(highest.rate))?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn write_invalid(out: &mut String, findings: &Findings) -> fmt::Result {
    for probe in findings.probes.iter().filter(|probe| !probe.is_valid()) {
        writeln!(out, "\n{}/s is INVALID", count(probe.rate))?;
        probe.invalid_reasons().iter().try_for_each(|reason| writeln!(out, "  - {reason}"))?;
    }
    let reasons = findings.invalid_reasons();
    let verdict = findings.outcome().verdict();
    let (valid, all) = (findings.valid_rates(), findings.probes.len());
    writeln!(out, "\nVerdict      {verdict}, {valid} of {all} rates are valid")?;
    reasons.iter().try_for_each(|reason| writeln!(out, "  - {reason}"))
}
