//! `ringback-load compare`: which of two servers is better.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tracing::error;

use super::super::exit_codes::load as exit_codes;
use super::super::gate::parse_gate;
use super::super::interrupt::on_signals;
use super::super::placement::ServerPlace;
use super::super::progress::{ProgressLine, rough_time};
use super::bounds::within;
use super::error::{LoadError, exit_code};
use super::measure::{CpuList, Measuring, Scope};
use super::output::{Percentiles, Reporting};
use super::sharing::Sharing;
use crate::cpus::{self, PinningRefusal};
use crate::load::format::counted;
use crate::load::study::compare::{
    CompareReport, Comparison, Event, Gate, Metric, ServerCommand, compare, head, row,
};
use crate::load::{Load, RunError};
use crate::units::{parse_count, parse_duration, parse_percent};

/// Each block adds four runs; a thousand are more than anybody waits for.
const MAX_BLOCKS: u64 = 1000;

/// Compares two servers, started and measured in turn, with an interval and a control
///
/// Each block measures A, B, B, A or B, A, A, B, each time with a newly started server, one server
/// at a time. The result is the median over the blocks of the ratio B/A with its 95 % interval, and
/// beside it a control made of the same runs in which each server stands against itself. It is
/// inconclusive when the interval covers 1, the difference is below --min-effect, or the control is
/// as far from 1 as the difference. What is asserted must hold in every valid run of both servers;
/// a run that cannot tell it is not valid. The comparison is INVALID where more than half of its
/// blocks are, or a server died or did not stop.
#[derive(Debug, Args)]
#[command(
    after_help = "More options and examples: ringback-load compare --help",
    after_long_help = exit_codes::below("\
Examples:
  ringback-load compare --a './old serve {addr}' --b './new serve {addr}' --metric cpu -d 2s
  ringback-load compare --a 'ringback serve {addr}' --b 'socat TCP-LISTEN:{port},fork EXEC:cat'
  ringback-load compare --a './old serve {addr}' --b './new serve {addr}' --svg both.svg

A command is split into words as a shell would, and run without a shell. {addr} in it becomes
127.0.0.1:PORT, {port} the port alone. The server must listen there, stay in the foreground, and
end on SIGTERM with everything it started, in one process group.")
)]
pub struct Compare {
    /// Starts server A, as in 'ringback serve {addr}'
    #[arg(long, value_name = "CMD", value_parser = ServerCommand::parse)]
    a: ServerCommand,
    /// Starts server B
    #[arg(long, value_name = "CMD", value_parser = ServerCommand::parse)]
    b: ServerCommand,
    /// Blocks of four runs
    #[arg(long, value_name = "N", default_value = "10", value_parser = parse_count)]
    blocks: u64,
    /// Metric of the comparison [default: throughput; with --rate p99]
    #[arg(long, value_enum)]
    metric: Option<Metric>,
    /// A smaller difference is none
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = parse_percent)]
    min_effect: f64,
    /// Fail (exit code 3) where this holds, as in 'b/a>1.05'; may be repeated. It holds where the
    /// whole interval of the ratio is beyond the bound, farther than the control from 1
    #[arg(long, value_name = "RATIO", value_parser = parse_gate)]
    fail_if: Vec<Gate>,
    /// Exit with 6 where it cannot be said whether a --fail-if holds, or without one which server
    /// is better
    #[arg(long)]
    fail_inconclusive: bool,
    /// CPUs of the servers, as in 0-3,8 [default: the first that the generator does not have]
    #[arg(long, value_name = "LIST", value_parser = cpus::parse_list)]
    server_cpus: Option<CpuList>,
    /// How long a server may take until it listens
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    start_timeout: Duration,
    /// How long a server may take to end after SIGTERM; then it is killed
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = parse_duration)]
    stop_timeout: Duration,
    #[command(flatten)]
    measuring: Measuring,
    #[command(flatten)]
    reporting: Reporting,
}

impl Compare {
    pub(super) fn execute(self) -> Result<ExitCode, LoadError> {
        let comparison = self.resolve()?;
        let mut outputs = self.reporting.open(&Percentiles::NONE)?;
        on_signals(comparison.config.interrupt.clone()).map_err(RunError::System)?;
        self.reporting.announce(&format!(
            "comparing: {} runs in {}, about {}",
            comparison.runs(),
            counted(comparison.blocks as u64, "block"),
            rough_time(comparison.estimated_time()),
        ));
        let line = ProgressLine::new(self.reporting.is_quiet());
        let mut blocks = 0;
        let report = compare(&comparison, &mut |event| match event {
            Event::Step(step) => line.show_step(step),
            Event::Block(block) => {
                line.clear();
                blocks += 1;
                outputs.show(
                    |view| head(&comparison, view),
                    |view| row(block, blocks, comparison.metric, view),
                );
            }
        });
        drop(line);
        let report = report?;
        outputs.deliver(&report, CompareReport::picture)?;
        if !report.valid {
            report.reasons.iter().for_each(|reason| error!("{reason}"));
        }
        Ok(exit_code(report.outcome()))
    }

    fn resolve(&self) -> Result<Comparison, LoadError> {
        let blocks = within("--blocks", self.blocks, 1, MAX_BLOCKS)?;
        let server_cpus = self.server_cpus.as_deref();
        cpus::check_allowed(server_cpus.unwrap_or_default(), &cpus::allowed())
            .map_err(|error| LoadError::usage(format!("--server-cpus: {error}")))?;
        let place = server_cpus.map_or(ServerPlace::Any, ServerPlace::On);
        let (config, mut server_cpus) =
            self.measuring.resolve_beside(place, None, Scope::Load(Sharing::default()))?;
        if PinningRefusal::detect().is_some() {
            server_cpus.clear();
        }
        Ok(Comparison {
            a: self.a.clone(),
            b: self.b.clone(),
            blocks,
            metric: self.metric(config.load)?,
            min_effect: self.min_effect,
            gates: self.fail_if.clone(),
            must_conclude: self.fail_inconclusive,
            server_cpus,
            start_timeout: self.start_timeout,
            stop_timeout: self.stop_timeout,
            config,
        })
    }

    fn metric(&self, load: Load) -> Result<Metric, LoadError> {
        match (self.metric, load) {
            (None, Load::Closed) => Ok(Metric::Throughput),
            (None, Load::Open { .. }) => Ok(Metric::P99),
            (Some(Metric::Throughput), Load::Open { .. }) => Err(LoadError::usage(
                "--metric throughput compares nothing with --rate: both servers are offered the \
                 same; leave --rate out, or compare cpu or p99",
            )),
            (Some(metric), _) => Ok(metric),
        }
    }
}
