//! `ringback-load find-max`: the highest rate at which assertions hold.

use std::process::ExitCode;

use clap::Args;

use super::super::exit_codes::load as exit_codes;
use super::super::progress::rough_time;
use super::super::rates::parse_per_s;
use super::bounds::within;
use super::error::{LoadError, exit_code};
use super::measure::{ChosenRates, of_chosen_rates};
use super::one_server::{OneServer, Study};
use crate::load::draw::search_picture;
use crate::load::report::search;
use crate::load::study::find_max::Bounds;
use crate::load::study::{find_max, probe_time};
use crate::load::{Assertion, Config, MAX_RATE, Metric};
use crate::units::{format_count, parse_percent};

/// Where the search starts, unless told otherwise or too low for the assertions.
const START: u64 = 1_000;

/// Finds the highest rate at which the assertions hold
///
/// Doubles the rate until a probe fails, halves the distance until the resolution is reached, and
/// asks the best rate once more: one that does not pass twice has failed. A probe fails when an
/// assertion is missed or the run is not valid, unless that is for generator lag only and the
/// assertions hold all the same; one that is not valid although the server did everything right is
/// made once more first. Each drains before the next. The search is INVALID where no probe is
/// valid, where none passed and of the lowest rate nothing can be told, or where the server or this
/// host gave up.
#[derive(Debug, Args)]
#[command(
    mut_args = of_chosen_rates,
    after_help = "More options and examples: ringback-load find-max --help",
    after_long_help = exit_codes::below("\
Examples:
  ringback-load find-max --assert 'p99<200us'                 an embedded server
  ringback-load find-max 127.0.0.1:65432 --assert 'p99<1ms' --assert 'max<50ms' --resolution 2%")
)]
pub struct FindMax {
    /// The first rate, in messages a second [default: 1k, or as many as the assertions need to be
    /// told]
    #[arg(long, value_name = "N", value_parser = parse_per_s)]
    start: Option<u64>,
    /// How far the lowest rate that failed may be above the highest that passed
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = parse_percent)]
    resolution: f64,
    #[command(flatten)]
    of: OneServer,
}

impl FindMax {
    pub(super) fn execute(self) -> Result<ExitCode, LoadError> {
        let by = "find-max chooses the rates, from --start on";
        let first = self.start.unwrap_or(START);
        within("--start", first, 1, MAX_RATE)?;
        let setup = self.of.resolve_for_rates(ChosenRates { first, by })?;
        let bounds = self.bounds(&setup.config)?;
        let study = Study {
            announcement: &|config| {
                let time = rough_time(probe_time(config));
                format!("searching: {time} a probe, most searches need 10 to 20")
            },
            measure: &|config, on_event| find_max(config, bounds, on_event),
            head: search::head,
            row: search::row,
            draw: search_picture,
        };
        let report = self.of.measure_series(setup, &study)?;
        Ok(exit_code(report.outcome()))
    }

    fn bounds(&self, config: &Config) -> Result<Bounds, LoadError> {
        check_assertions(&config.assertions)?;
        if self.resolution < 0.001 {
            return Err(LoadError::usage(
                "--resolution must be at least 0.1%: no two runs agree to less",
            ));
        }
        let least = least_rate(config);
        let start = self.start.unwrap_or(START.max(least));
        if start < least {
            return Err(LoadError::usage(format!(
                "--start {} is too low: at less than {}/s too few messages are measured to tell \
                 the assertions; raise --start or --duration",
                format_count(start),
                format_count(least),
            )));
        }
        Ok(Bounds::new(start, least, self.resolution))
    }
}

/// A search needs an assertion that breaks as the rate rises.
fn check_assertions(assertions: &[Assertion]) -> Result<(), LoadError> {
    if assertions.is_empty() {
        return Err(LoadError::usage(
            "find-max needs something that must hold: give it --assert 'p99<200us'",
        ));
    }
    let wrong = assertions.iter().find(|assertion| {
        assertion.metric == Metric::Throughput || !assertion.comparison.is_upper()
    });
    match wrong {
        None => Ok(()),
        Some(assertion) => Err(LoadError::usage(format!(
            "find-max raises the rate until an assertion breaks, and {} does not break that way: \
             assert an upper bound of a latency, as in 'p99<200us'",
            assertion.name,
        ))),
    }
}

/// The lowest rate at which a run has enough messages for every percentile that is asserted.
fn least_rate(config: &Config) -> u64 {
    let messages =
        config.assertions.iter().map(|assertion| assertion.metric.samples_needed()).max();
    let per_s = messages.unwrap_or(1) as f64 / config.duration.as_secs_f64();
    // One more in a hundred: the first and the last message of the window may lie outside.
    (per_s * 1.01).ceil().clamp(1.0, MAX_RATE as f64) as u64
}
