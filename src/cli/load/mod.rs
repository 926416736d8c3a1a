//! The command line of `ringback-load`: a measurement by default, and subcommands.
//!
//! [`measure`] holds the options of a measurement, which every command that measures shares;
//! [`output`] says where reports go, [`error`] how the program ends. Each command has a file of
//! its own.

mod bounds;
pub mod compare;
mod destination;
mod detached;
#[cfg_attr(not(feature = "server"), path = "no_embedded.rs")]
mod embedded;
pub mod error;
pub mod find_max;
mod inputs;
pub mod measure;
pub mod merge;
pub mod one_server;
pub mod output;
pub mod plot;
pub mod results;
pub mod run;
pub mod schema;
pub mod sharing;
pub mod sweep;
mod target;
mod test_bed;
mod ticker;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use self::compare::Compare;
use self::error::LoadError;
use self::find_max::FindMax;
use self::merge::Merge;
use self::plot::Plot;
use self::run::Run;
use self::schema::Schema;
use self::sweep::SweepCommand;
use super::exit_codes::load as exit_codes;
use super::manual::Manual;

/// Measures a TCP echo server: rate, latency, CPU, and whether the numbers can be trusted.
#[derive(Debug, Parser)]
#[command(
    name = "ringback-load",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  ringback-load                                     an embedded server, as fast as it goes
  ringback-load 127.0.0.1:65432 -r 20k --assert 'p99<200us'
More options and examples: ringback-load --help",
    after_long_help = exit_codes::below("\
Examples:
  ringback-load                                     an embedded server, as fast as it goes
  ringback-load 127.0.0.1:65432 -c 512 -s 1KiB      closed loop: what is its capacity?
  ringback-load 127.0.0.1:65432 -r 20k -d 1m        open loop: what latency at 20,000/s?
  ringback-load 127.0.0.1:65432 -r 20k --assert 'p99<200us' --assert 'max<5ms'
  ringback-load 127.0.0.1:65432 -s 64:90,4KiB:10 --depth 8    mixed sizes, pipelined
  ringback-load 127.0.0.1:65432 --reconnect 1                 what does a connection cost?
  ringback-load 127.0.0.1:65432 -c 50k --ramp-up 10s --source 127.0.0.2-127.0.0.9
  ringback-load [::1]:65432 --format json -o r.json --hlog r.hlog --hgrm r.hgrm --svg r.svg
  ringback-load 10.0.0.1:7 -r 90k --part 0/3 --start-at 2026-12-24T18:00:00Z --hlog 0.hlog
  ringback-load merge 0.hlog 1.hlog 2.hlog                    generators on many machines
  ringback-load sweep 127.0.0.1:65432 --rates 10k..100k:10k --svg sweep.svg
  ringback-load find-max 127.0.0.1:65432 --assert 'p99<200us'
  ringback-load compare --a './old serve {addr}' --b './new serve {addr}' --metric cpu

Units: counts k, M, G; sizes KiB, MiB; durations ns, us, ms, s, m, h.")
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Command {
    Sweep(Box<SweepCommand>),
    FindMax(Box<FindMax>),
    Compare(Box<Compare>),
    Merge(Merge),
    Plot(Plot),
    Schema(Schema),
    #[command(flatten)]
    Manual(Manual),
}

impl Cli {
    /// Does what the command line asks for; returns the exit code.
    ///
    /// # Errors
    ///
    /// When an option is not possible, nothing could be measured, or a result cannot be written.
    pub fn execute(self) -> Result<ExitCode, LoadError> {
        match self.command {
            None => self.run.execute(),
            Some(Command::Sweep(command)) => command.execute(),
            Some(Command::FindMax(command)) => command.execute(),
            Some(Command::Compare(command)) => command.execute(),
            Some(Command::Merge(merge)) => merge.execute(),
            Some(Command::Plot(plot)) => plot.execute(),
            Some(Command::Schema(schema)) => schema.execute(),
            Some(Command::Manual(manual)) => {
                manual
                    .execute(Self::command())
                    .map_err(|error| LoadError::nothing(error.to_string()))?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
