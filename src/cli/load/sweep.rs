//! `ringback-load sweep`: latency against throughput.

use std::process::ExitCode;

use clap::Args;

use super::super::progress::{ProgressLine, rough_time};
use super::super::rates::{RateList, parse_rates};
use super::bench::Bench;
use super::error::{LoadError, exit_code};
use super::measure::Measuring;
use super::output::{Drawing, Forms, Reporting};
use crate::load::sweep::{Findings, Rates, Sweep, report, sweep};
use crate::load::{Config, probe_time};
use crate::say;

/// Measures latency at one rate after another, and finds the knee
///
/// One open loop for each rate, from the lowest to the highest; each drains before the next. The
/// knee is the highest rate whose p99 response is at most three times the lowest p99 of all.
/// Rates beyond the server's capacity are INVALID and shown as such.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringback-load sweep                                        an embedded server
  ringback-load sweep 127.0.0.1:65432 --rates 10k,20k,40k -d 5s
  ringback-load sweep 127.0.0.1:65432 --rates 10k..100k:10k --svg sweep.svg

Exit codes: 0 measured, 1 nothing could be measured, 2 usage, 3 an assertion missed at a rate that
is valid, 4 no rate is valid, replies were corrupted, or the server or this host gave up; 5
interrupted.")]
pub struct SweepCommand {
    /// HOST:PORT of the server; without it one is started in this process and measured
    target: Option<String>,
    /// Messages a second, as in 10k,20k,40k or 10k..100k:10k [default: doubling from 1k until a
    /// rate is not reached, then three rates before that one]
    #[arg(long, value_name = "LIST", value_parser = parse_rates)]
    rates: Option<RateList>,
    #[command(flatten)]
    measuring: Measuring,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    drawing: Drawing,
}

const FORMS: Forms<Findings> =
    Forms { text: report::text, json: report::json, figure: Some(report::figure) };

impl SweepCommand {
    /// Measures at every rate, and writes the report where it belongs; says with which code to
    /// exit.
    pub(super) fn execute(self) -> Result<ExitCode, LoadError> {
        let measuring = self.measuring.for_many_rates("sweep takes its rates from --rates")?;
        let setup = measuring.resolve(self.target.as_deref())?;
        let outputs = self.reporting.open_with(&self.drawing)?;
        let bench = Bench::set_up(setup)?;
        let rates = self.rates.map_or(Rates::Doubling, |RateList(rates)| Rates::Listed(rates));
        let plan = Sweep { rates, config: bench.config().clone() };
        if !self.reporting.quiet {
            say(format_args!("sweeping: {}", estimate(&plan.rates, &plan.config)));
        }
        let line = ProgressLine::new(self.reporting.quiet);
        let found = sweep(&plan, &mut |step| line.show_probe(step));
        drop(line);
        let stopped = bench.tear_down();
        let found = found?;
        outputs.deliver(&found, &FORMS)?;
        stopped?;
        Ok(exit_code(found.outcome()))
    }
}

fn estimate(rates: &Rates, config: &Config) -> String {
    let time = probe_time(config);
    match rates {
        Rates::Listed(rates) => {
            let plural = if rates.len() == 1 { "" } else { "s" };
            let all = rough_time(time * rates.len() as u32);
            format!("{} rate{plural}, about {all}", rates.len())
        }
        Rates::Doubling => {
            format!("doubling the rate until it is not reached, {} each", rough_time(time))
        }
    }
}
