//! What a measurement leaves behind: the report, and whatever else is to be saved.

use std::io::{self, Write, stdout};
use std::path::PathBuf;

use clap::Args;

use super::destination::Destination;
use super::error::LoadError;
use super::output::{Format, Outputs, open};
use crate::load::picture::{self, History};
use crate::load::report::{self, hgrm};
use crate::load::{Config, Interval, Report, hlog};

/// Files for the tools of HdrHistogram.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Saving {
    /// Log the histograms of every second into this file (.hlog), for `ringback-load merge` and
    /// every HdrHistogram log reader
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
    /// Write the percentile distribution into this file (.hgrm), for HdrHistogram's plotters: in
    /// milliseconds, of the response with --rate, else of the service
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
}

/// Where the results of one measurement go, and what was seen of it so far.
pub(super) struct Results {
    format: Format,
    report: Destination,
    table: Option<Destination>,
    log: Option<Log>,
    picture: Option<(Destination, History)>,
}

impl Results {
    /// Looks at every file before the run, so that a mistake does not cost one.
    ///
    /// # Errors
    ///
    /// When one cannot be written, or two are the same.
    pub(super) fn open(
        outputs: Outputs,
        saving: &Saving,
        config: &Config,
    ) -> Result<Self, LoadError> {
        let Outputs { format, report, picture } = outputs;
        let table = open("the percentiles", "--hgrm", saving.hgrm.as_deref())?;
        let log = open("the log", "--hlog", saving.hlog.as_deref())?;
        let all = [Some(&report), table.as_ref(), log.as_ref(), picture.as_ref()];
        Destination::check_distinct(&all.into_iter().flatten().collect::<Vec<_>>())?;
        Ok(Self {
            format,
            report,
            table,
            log: log.map(|log| log.detached().map(Log::new)).transpose()?,
            picture: picture.map(|destination| (destination, History::of(config))),
        })
    }

    /// An interval of the run.
    pub(super) fn follow(&mut self, interval: &Interval<'_>) {
        if let Some(log) = &mut self.log {
            log.write(&interval.into());
        }
        if let Some((_, history)) = &mut self.picture {
            history.follow(interval);
        }
    }

    /// The run is over: writes everything, whatever becomes of the others.
    ///
    /// # Errors
    ///
    /// The first, when there were some.
    pub(super) fn deliver(self, found: &Report) -> Result<(), LoadError> {
        // First what nothing can hold up.
        let report = deliver_report(self.report, self.format, found);
        let table = self.table.map(|table| {
            let name = if found.latency.open_loop.is_some() { "response" } else { "service" };
            table.deliver(&hgrm(name, found.latency.main()))
        });
        let picture = self.picture.map(|(destination, history)| {
            destination.deliver(&picture::of_report(found, history).svg())
        });
        let log = self.log.map(|mut log| {
            if found.was_interrupted {
                log.write_incomplete(&found.verdict.reasons[0]);
            }
            log.finish()
        });
        [Some(report), log, table, picture].into_iter().flatten().collect()
    }
}

/// A report that its file does not take is shown rather than lost.
fn deliver_report(
    destination: Destination,
    format: Format,
    found: &Report,
) -> Result<(), LoadError> {
    let document = match format {
        Format::Text => report::text(found),
        Format::Json => report::json(found),
    };
    let is_stdout = destination.is_stdout();
    let outcome = destination.deliver(&document);
    if outcome.is_err() && !is_stdout {
        // The error that is told is that of the file.
        let _ = stdout().write_all(document.as_bytes());
    }
    outcome
}

/// A log that is written while the run goes on.
pub(super) struct Log {
    writer: hlog::Writer<Destination>,
    /// The first error; the run goes on without the log then.
    outcome: io::Result<()>,
}

impl Log {
    pub(super) fn new(destination: Destination) -> Self {
        Self { writer: hlog::Writer::new(destination), outcome: Ok(()) }
    }

    pub(super) fn write(&mut self, interval: &hlog::Logged<'_>) {
        if self.outcome.is_ok() {
            self.outcome = self.writer.write(interval);
        }
    }

    /// Says why it is not all that was planned.
    pub(super) fn write_incomplete(&mut self, why: &str) {
        if self.outcome.is_ok() {
            self.outcome = self.writer.write_incomplete(why);
        }
    }

    pub(super) fn finish(self) -> Result<(), LoadError> {
        let destination = self.writer.into_inner();
        match self.outcome {
            Ok(()) => destination.finish(),
            Err(source) => Err(destination.fail(source)),
        }
    }
}
