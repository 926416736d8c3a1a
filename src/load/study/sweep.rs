//! Latency against throughput: the same load at one rate after another, and where it tips over.

use super::knee::knee;
use super::plan::Plan;
pub use super::plan::Rates;
use super::probe::{Step, measure_series, settings};
use crate::load::config::Config;
use crate::load::error::RunError;
use crate::load::record::host::Host;
use crate::load::report::probes::{Probe, SeriesVerdict, common_warnings, target};
use crate::load::report::sweep::{KNEE_FACTOR, Knee, SCHEMA, SweepReport};

/// Measures at every rate; that of `config` is not used. Reports each step before it is made, and
/// how it goes.
///
/// # Errors
///
/// When a run cannot be made, or the sweep was interrupted before the first was.
pub fn sweep(
    config: &Config,
    rates: &Rates,
    on_step: &mut dyn FnMut(Step),
) -> Result<SweepReport, RunError> {
    let host = Host::detect();
    let mut plan = Plan::new(rates);
    let mut probes: Vec<Probe> = Vec::new();
    let mut fault = None;
    let interrupted = measure_series(config, rates.count(), on_step, &mut |probe| {
        if let Some(probe) = probe {
            plan.handle(probe.rate_per_s, probe.is_rate_reached());
            fault = probe.fault();
            probes.push(probe);
        }
        if fault.is_some() { None } else { plan.next_rate() }
    })?;
    probes.sort_unstable_by_key(|probe| probe.rate_per_s);
    let p99_ns = |probe: &Probe| probe.run.as_ref().filter(|_| probe.valid)?.latency_ns.main().p99;
    let points: Vec<Option<u64>> = probes.iter().map(p99_ns).collect();
    let knee = knee(&points).map(|point| Knee {
        rate_per_s: probes[point].rate_per_s,
        p99_ns: points[point],
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
