//! The highest rate at which assertions hold: doubling, then halving the distance, then asking the
//! best once more.
//!
//! A probe passes if it is valid and every assertion holds, or if they hold although the
//! generator's lateness is in the response times. One that says nothing of the server is made once
//! more, and fails only if it is not valid again. The best rate must pass a second time, or it
//! counts as failed and the search goes on below it: a rate that passes now and then is not one to
//! rely on.

use super::probe::{Event, measure_series, settings};
pub use super::search::Bounds;
use super::search::Search;
use crate::load::config::Config;
use crate::load::config::assertion::Assertion;
use crate::load::error::RunError;
use crate::load::format::count;
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;
use crate::load::report::probes::{Probe, SeriesVerdict, series_warnings, target};
use crate::load::report::search::{
    Bracket, Purpose, SCHEMA, SearchProbe, SearchReport, SearchSettings,
};
use crate::load::report::words::measured;

/// Searches for the highest rate at which the assertions of `config` hold; its rate is not used.
/// Reports each step before it is made, how it goes, and each probe.
///
/// # Errors
///
/// When a run cannot be made, or the search was interrupted before the first was.
pub fn find_max(
    config: &Config,
    bounds: Bounds,
    on_event: &mut dyn FnMut(Event<'_, SearchProbe>),
) -> Result<SearchReport, RunError> {
    let host = Host::detect();
    let mut search = Search::new(bounds);
    let mut probes: Vec<SearchProbe> = Vec::new();
    let mut purpose = Purpose::Double;
    let mut fault = None;
    let interrupted = measure_series(config, None, on_event, &mut |probe, on_event| {
        if let Some(mut probe) = probe {
            let is_repetition = probes.last().is_some_and(|last| last.repeated);
            let passed = holds(&config.assertions, &probe);
            fault = probe.fault();
            let is_worth_repeating = fault.is_none() && probe.outcome().is_worth_repeating();
            let repeated = !passed && is_worth_repeating && !is_repetition;
            if !repeated && fault.is_none() {
                search.handle(probe.rate_per_s, passed);
            }
            probe.reasons = failures(&probe, passed);
            let probe = SearchProbe { purpose, passed, repeated, probe };
            on_event(Event::Probe(&probe));
            probes.push(probe);
        }
        let (rate, next_purpose) = if fault.is_some() { None } else { search.next_probe() }?;
        purpose = next_purpose;
        Some(rate)
    })?;
    let limit = search.lowest_failed().and_then(|rate| limit(&probes, rate));
    let mut reasons = invalid_reasons(&probes, interrupted, fault);
    let mut warnings = series_warnings(probes.iter().map(|probe| &probe.probe));
    match doubt_of_limit(limit, search.highest_passed()) {
        Some(Doubt::OfAll(reason)) if reasons.is_empty() => reasons.push(reason),
        Some(Doubt::OfAll(warning) | Doubt::OfLimit(warning)) => warnings.push(warning),
        None => {}
    }
    Ok(SearchReport {
        schema: SCHEMA.to_owned(),
        target: target(probes.iter().map(|probe| &probe.probe)),
        config: SearchSettings {
            start_per_s: bounds.start,
            least_per_s: bounds.least,
            resolution: bounds.resolution,
            run: settings(config),
        },
        host,
        assertions: config.assertions.iter().map(|assertion| assertion.name.clone()).collect(),
        bracket: Bracket {
            highest_passed_per_s: search.highest_passed(),
            lowest_failed_per_s: search.lowest_failed(),
            confirmed: search.is_confirmed(),
            limited_by: limit.map(|probe| probe.reasons.clone()).unwrap_or_default(),
        },
        verdict: SeriesVerdict::new(reasons, warnings, interrupted),
        probes,
    })
}

/// Returns whether everything asserted holds in a probe that is valid, or that is not only because
/// the generator was late: what holds of times that are too long holds of the true ones.
fn holds(assertions: &[Assertion], probe: &Probe) -> bool {
    let Some(run) = &probe.run else { return false };
    let holds_for_sure = match run.verdict.outcome {
        Outcome::Passed => true,
        Outcome::GeneratorLimited => assertions.iter().all(Assertion::holds_sooner),
        Outcome::Missed
        | Outcome::TooFewSamples
        | Outcome::HostAtFault
        | Outcome::ServerAtFault
        | Outcome::NotWhole
        | Outcome::Unknown
        | Outcome::Inconclusive
        | Outcome::Incomplete => false,
    };
    holds_for_sure && run.verdict.assertions.iter().all(|result| result.met)
}

/// Why a probe failed, each a few words; none if it passed.
fn failures(probe: &Probe, passed: bool) -> Vec<String> {
    if passed {
        return Vec::new();
    }
    let results = probe.run.iter().flat_map(|run| &run.verdict.assertions);
    let missed = results
        .filter(|result| !result.met && probe.outcome() != Outcome::TooFewSamples)
        .map(|result| format!("{} missed: {}", result.assertion, measured(result.measured)));
    probe.reasons.iter().cloned().chain(missed).collect()
}

/// Why the next rate fails: the last probe at the lowest rate that failed.
fn limit(probes: &[SearchProbe], lowest_failed: u64) -> Option<&Probe> {
    let failed = |probe: &&SearchProbe| probe.probe.rate_per_s == lowest_failed && !probe.passed;
    probes.iter().rfind(failed).map(|probe| &probe.probe)
}

/// Where the search ended at a rate of which nothing is known.
#[derive(Debug, PartialEq, Eq)]
enum Doubt {
    /// A higher rate may pass.
    OfLimit(String),
    /// No rate passed, and that none does is not known either.
    OfAll(String),
}

fn doubt_of_limit(limit: Option<&Probe>, highest_passed: Option<u64>) -> Option<Doubt> {
    let limit = limit.filter(|limit| limit.outcome().is_worth_repeating())?;
    let rate = count(limit.rate_per_s);
    Some(match highest_passed {
        Some(_) => Doubt::OfLimit(format!(
            "the search ended where the measurement was not valid, not where the server failed: \
             at {rate}/s it kept up, and may well meet the assertions; reduce other load on this \
             host, or give the generator more --threads and --cpus"
        )),
        None => {
            let why = limit.reasons.first().map(String::as_str).unwrap_or_default();
            Doubt::OfAll(format!("no rate passed, and of {rate}/s nothing can be told: {why}"))
        }
    })
}

/// Why the result may not be used; none if it may, be it that no rate passes.
fn invalid_reasons(
    probes: &[SearchProbe],
    interrupted: bool,
    fault: Option<String>,
) -> Vec<String> {
    let mut reasons = Vec::new();
    if interrupted {
        reasons.push("interrupted before the search was over".to_owned());
    }
    reasons.extend(fault);
    if !probes.iter().any(|probe| probe.passed || probe.probe.valid) {
        reasons.push("no rate gave a valid measurement".to_owned());
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::study::testing::probe;

    #[test]
    fn a_search_that_the_host_ended_does_not_blame_the_server() {
        let spoiled = probe(20, "host_at_fault", 5);
        let told = "no rate passed, and of 20/s nothing can be told: it waited".to_owned();
        assert_eq!(doubt_of_limit(Some(&spoiled), None), Some(Doubt::OfAll(told)));
        let of_limit = doubt_of_limit(Some(&spoiled), Some(10));
        assert!(matches!(of_limit, Some(Doubt::OfLimit(_))), "{of_limit:?}");
        for passed in [None, Some(10)] {
            assert_eq!(doubt_of_limit(Some(&probe(20, "missed", 5)), passed), None);
            assert_eq!(doubt_of_limit(None, passed), None);
        }
    }
}
