//! Latency against throughput: the same load at one rate after another, and where it tips over.

use super::knee::knee;
use super::plan::Plan;
pub use super::plan::Rates;
use super::probe::{Event, measure_series, settings};
use crate::load::config::Config;
use crate::load::error::RunError;
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;
use crate::load::report::document::Percentiles;
use crate::load::report::probes::{Probe, SeriesVerdict, series_warnings, target};
use crate::load::report::sweep::{KNEE_FACTOR, Knee, SCHEMA, SweepReport};

/// Measures at every rate; that of `config` is not used. A rate at which the host spoiled the
/// measurement is measured once more. Reports each step before it is made, how it goes, and each
/// probe that counts.
///
/// # Errors
///
/// When a run cannot be made, or the sweep was interrupted before the first was.
pub fn sweep(
    config: &Config,
    rates: &Rates,
    on_event: &mut dyn FnMut(Event<'_, Probe>),
) -> Result<SweepReport, RunError> {
    let host = Host::detect();
    let mut plan = Plan::new(rates);
    let mut probes: Vec<Probe> = Vec::new();
    let (mut fault, mut repetition) = (None, Repetition::default());
    let interrupted = measure_series(config, rates.count(), on_event, &mut |probe, on_event| {
        if let Some(probe) = probe {
            if repetition.is_due(&probe) {
                return Some(probe.rate_per_s);
            }
            plan.handle(probe.rate_per_s, probe.is_rate_reached());
            fault = probe.fault();
            on_event(Event::Probe(&probe));
            probes.push(probe);
        }
        if fault.is_some() { None } else { plan.next_rate() }
    })?;
    if interrupted && probes.is_empty() {
        return Err(RunError::Interrupted { doing: "measuring the first rate" });
    }
    probes.sort_unstable_by_key(|probe| probe.rate_per_s);
    let interruption = interrupted.then(|| "interrupted before the last rate".to_owned());
    let reasons =
        interruption.into_iter().chain(fault).chain(without_valid_rate(&probes)).collect();
    Ok(SweepReport {
        schema: SCHEMA.to_owned(),
        target: target(probes.iter()),
        config: settings(config),
        host,
        knee: knee_among(&probes),
        verdict: SeriesVerdict::new(reasons, series_warnings(probes.iter()), interrupted),
        rates: probes,
    })
}

/// The rate that was measured once more.
#[derive(Debug, Default)]
struct Repetition(Option<u64>);

impl Repetition {
    /// Returns whether to measure at the probe's rate once more, instead of counting it.
    fn is_due(&mut self, probe: &Probe) -> bool {
        let is_spoiled = probe.outcome() == Outcome::HostAtFault && probe.fault().is_none();
        is_spoiled && self.0.replace(probe.rate_per_s) != Some(probe.rate_per_s)
    }
}

/// The knee among probes in ascending order of their rates. Those that the host spoiled say nothing of
/// the server, neither that it went on well nor that it did not.
fn knee_among(probes: &[Probe]) -> Option<Knee> {
    let known: Vec<&Probe> =
        probes.iter().filter(|probe| probe.outcome() != Outcome::HostAtFault).collect();
    let latency = |probe: &Probe| {
        let run = probe.run.as_ref().filter(|_| probe.valid)?;
        Some(run.latency_ns.main().clone())
    };
    let points: Vec<Option<Percentiles>> = known.iter().map(|probe| latency(probe)).collect();
    let p50_ns: Vec<Option<u64>> =
        points.iter().map(|point| point.as_ref().and_then(|point| point.p50)).collect();
    let point = knee(&p50_ns)?;
    Some(Knee {
        rate_per_s: known[point].rate_per_s,
        p50_ns: p50_ns[point],
        p99_ns: points[point].as_ref().and_then(|point| point.p99),
        factor: KNEE_FACTOR,
    })
}

/// Why nothing may be concluded from the sweep. That rates beyond what the server can do are not
/// valid is what a sweep is for.
fn without_valid_rate(probes: &[Probe]) -> Option<String> {
    let is_any_valid = probes.iter().any(|probe| probe.valid);
    (!is_any_valid).then(|| "no rate gave a valid measurement".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::study::testing::probe;

    #[test]
    fn a_rate_that_the_host_spoiled_is_measured_once_more() {
        let mut repetition = Repetition::default();
        for (rate, outcome, is_due) in [
            (10, "host_at_fault", true),
            (10, "host_at_fault", false),
            (20, "passed", false),
            (30, "server_at_fault", false),
            (30, "host_at_fault", true),
            (30, "passed", false),
        ] {
            assert_eq!(repetition.is_due(&probe(rate, outcome, 5)), is_due, "{rate} {outcome}");
        }
    }

    #[test]
    fn a_rate_that_the_host_spoiled_is_no_knee() {
        let good = [(10, "passed", 50), (20, "passed", 60)];
        for (last, knee) in [
            (&[(40, "host_at_fault", 9000)][..], None),
            (&[(40, "server_at_fault", 9000)], Some(20)),
            (&[(40, "passed", 9000)], Some(20)),
            (&[(30, "host_at_fault", 1), (40, "server_at_fault", 1)], Some(20)),
            (&[(30, "host_at_fault", 9000), (40, "passed", 70)], None),
        ] {
            let all = good.iter().chain(last);
            let probes: Vec<Probe> =
                all.map(|(rate, outcome, p50_ns)| probe(*rate, outcome, *p50_ns)).collect();
            assert_eq!(knee_among(&probes).map(|knee| knee.rate_per_s), knee, "{last:?}");
        }
    }
}
