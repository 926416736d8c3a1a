//! `ringback-load sweep`: latency against throughput.

use std::process::ExitCode;

use clap::Args;

use super::super::exit_codes::load as exit_codes;
use super::super::progress::rough_time;
use super::super::rates::{RateList, parse_rates};
use super::error::{LoadError, exit_code};
use super::measure::{ChosenRates, of_chosen_rates};
use super::one_server::{OneServer, Study};
use crate::load::Config;
use crate::load::draw::sweep_picture;
use crate::load::format::counted;
use crate::load::report::sweep as report;
use crate::load::study::sweep::Rates;
use crate::load::study::{probe_time, sweep};

/// Measures latency at one rate after another, and finds the knee
///
/// One open loop for each rate, from the lowest to the highest; each drains before the next. One
/// that the host spoiled is measured once more, and is no knee if it is spoiled again. The
/// knee is the highest rate whose p50 response is at most three times the lowest p50 of all.
/// Rates beyond the server's capacity are INVALID and shown as such; the sweep is where no rate is
/// valid, replies were corrupted, or the server or this host gave up.
#[derive(Debug, Args)]
#[command(
    mut_args = of_chosen_rates,
    after_help = "More options and examples: ringback-load sweep --help",
    after_long_help = exit_codes::below("\
Examples:
  ringback-load sweep                                        an embedded server
  ringback-load sweep 127.0.0.1:65432 --rates 10k,20k,40k -d 5s
  ringback-load sweep 127.0.0.1:65432 --rates 10k..100k:10k --svg sweep.svg")
)]
pub struct SweepCommand {
    /// Messages a second, as in 10k,20k,40k or 10k..100k:10k [default: doubling from 1k until a
    /// rate is not reached, then three rates before that one]
    #[arg(long, value_name = "LIST", value_parser = parse_rates)]
    rates: Option<RateList>,
    #[command(flatten)]
    of: OneServer,
}

impl SweepCommand {
    pub(super) fn execute(self) -> Result<ExitCode, LoadError> {
        let rates = self.rates.map_or(Rates::Doubling, Rates::Listed);
        let by = "sweep takes its rates from --rates";
        let setup = self.of.resolve_for_rates(ChosenRates { first: rates.first(), by })?;
        let study = Study {
            announcement: &|config| format!("sweeping: {}", estimate(&rates, config)),
            measure: &|config, on_event| sweep(config, &rates, on_event),
            head: report::head,
            row: report::row,
            draw: sweep_picture,
        };
        let report = self.of.measure_series(setup, &study)?;
        Ok(exit_code(report.outcome()))
    }
}

fn estimate(rates: &Rates, config: &Config) -> String {
    let time = probe_time(config);
    match rates {
        Rates::Listed(rates) => {
            let all = rough_time(time * rates.len() as u32);
            format!("{}, about {all}", counted(rates.len() as u64, "rate"))
        }
        Rates::Doubling => {
            format!("doubling the rate until it is not reached, {} each", rough_time(time))
        }
    }
}
