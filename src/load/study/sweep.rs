//! Latency against throughput: the same load at one rate after another, and where it tips over.

use super::knee::knee;
use super::plan::Plan;
pub use super::plan::Rates;
use super::probe::{Event, measure_series, settings};
use crate::load::config::Config;
use crate::load::error::RunError;
use crate::load::record::host::Host;
use crate::load::report::document::Percentiles;
use crate::load::report::probes::{Probe, SeriesVerdict, common_warnings, target};
use crate::load::report::sweep::{KNEE_FACTOR, Knee, SCHEMA, SweepReport};

/// Measures at every rate; that of `config` is not used. Reports each step before it is made,
/// how it goes, and each probe.
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
    let mut fault = None;
    let interrupted = measure_series(config, rates.count(), on_event, &mut |probe, on_event| {
        if let Some(probe) = probe {
            plan.handle(probe.rate_per_s, probe.is_rate_reached());
            fault = probe.fault();
            on_event(Event::Probe(&probe));
            probes.push(probe);
        }
        if fault.is_some() { None } else { plan.next_rate() }
    })?;
    probes.sort_unstable_by_key(|probe| probe.rate_per_s);
    let latency = |probe: &Probe| {
        let run = probe.run.as_ref().filter(|_| probe.valid)?;
        Some(run.latency_ns.main().clone())
    };
    let points: Vec<Option<Percentiles>> = probes.iter().map(latency).collect();
    let p50_ns: Vec<Option<u64>> =
        points.iter().map(|point| point.as_ref().and_then(|point| point.p50)).collect();
    let knee = knee(&p50_ns).map(|point| Knee {
        rate_per_s: probes[point].rate_per_s,
        p50_ns: p50_ns[point],
        p99_ns: points[point].as_ref().and_then(|point| point.p99),
        factor: KNEE_FACTOR,
    });
    let interruption = interrupted.then(|| "interrupted before the last rate".to_owned());
    let reasons =
        interruption.into_iter().chain(fault).chain(without_valid_rate(&probes)).collect();
    Ok(SweepReport {
        schema: SCHEMA.to_owned(),
        target: target(probes.iter()),
        config: settings(config),
        host,
        knee,
        verdict: SeriesVerdict::new(reasons, common_warnings(probes.iter()), interrupted),
        rates: probes,
    })
}

/// Why nothing may be concluded from the sweep. That rates beyond what the server can do are not
/// valid is what a sweep is for.
fn without_valid_rate(probes: &[Probe]) -> Option<String> {
    let is_any_valid = probes.iter().any(|probe| probe.valid);
    (!is_any_valid).then(|| "no rate gave a valid measurement".to_owned())
}
