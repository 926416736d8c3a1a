//! Results of a measurement: the report, and whatever else is to be saved.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::super::progress::ProgressLine;
use super::destination::Destination;
use super::error::LoadError;
use super::output::{Outputs, open};
use super::ticker::Ticker;
use crate::load::draw::{History, run_picture};
use crate::load::format::printable;
use crate::load::report::{announcement, head, hgrm, hlog};
use crate::load::{Config, Interval, Progress, Report, RunError, Watch};

/// Files for the tools of HdrHistogram.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Saving {
    /// Log the histograms of every second into this file (.hlog), for `ringback-load merge` and
    /// every HdrHistogram log reader
    #[arg(long, value_name = "FILE")]
    #[arg(hide_short_help = true)]
    hlog: Option<PathBuf>,
    /// Write the percentile distribution into this file (.hgrm), for HdrHistogram's plotters: in
    /// milliseconds, of the response with --rate, else of the service
    #[arg(long, value_name = "FILE")]
    #[arg(hide_short_help = true)]
    hgrm: Option<PathBuf>,
}

/// Where the results of one measurement go, and what was seen of it so far.
pub(super) struct Results {
    outputs: Outputs,
    table: Option<Destination>,
    log: Option<Log>,
    /// The seconds of the run, where a picture is wanted.
    history: Option<History>,
    /// While the run goes on.
    pub(super) line: Option<ProgressLine>,
    ticker: Option<Ticker>,
}

impl Watch for Results {
    fn progress(&mut self, progress: Progress) {
        self.line.iter().for_each(|line| line.show(progress));
    }

    fn interval(&mut self, interval: &Interval<'_>) {
        self.ticker.iter_mut().for_each(|ticker| ticker.follow(interval));
        let logged = interval.into();
        self.log.iter_mut().for_each(|log| log.write(|writer| writer.write(&logged)));
        self.history.iter_mut().for_each(|history| history.follow(&logged));
    }
}

impl Results {
    /// Looks at every file before the run, so that a mistake does not cost one.
    pub(super) fn open(
        outputs: Outputs,
        saving: &Saving,
        config: &Config,
    ) -> Result<Self, LoadError> {
        let table = open("the percentiles", "--hgrm", saving.hgrm.as_deref())?;
        let log = open("the log", "--hlog", saving.hlog.as_deref())?;
        let picture = outputs.picture.as_ref();
        let all = [Some(&outputs.report), table.as_ref(), log.as_ref(), picture];
        Destination::check_distinct(&all.into_iter().flatten().collect::<Vec<_>>())?;
        let history = picture.map(|_| History::of(config));
        let log = log.map(|log| log.detached().map(Log::new)).transpose()?;
        Ok(Self { outputs, table, log, history, line: None, ticker: None })
    }

    /// Says what is about to be run.
    pub(super) fn announce(&mut self, config: &Config) {
        self.outputs.announce(&announcement(config), |view| head(config, view));
    }

    /// The run is about to begin.
    pub(super) fn begin(&mut self, config: &Config) {
        self.log.iter_mut().for_each(|log| log.begin(hlog::RunNote::of(config)));
    }

    /// Nothing was measured: a log that is a stream says why. A file stays as it was.
    pub(super) fn fail(self, error: &RunError) {
        let Some(mut log) = self.log.filter(|log| log.writer.target().is_stream()) else { return };
        let why = printable(&error.to_string());
        log.write(|writer| match error {
            RunError::Interrupted { .. } => writer.write_incomplete(&why),
            _ => writer.write_failed(&why),
        });
        // Whoever reads it may have left; the error that is told is that of the run.
        let _ = log.finish();
    }

    /// From now on says so often how it goes.
    pub(super) fn tick(&mut self, every: Duration) {
        self.ticker = Some(Ticker::new(every, self.outputs.view.clone()));
    }

    /// The run is over: writes everything, whatever becomes of the others.
    pub(super) fn deliver(self, found: &Report) -> Result<(), LoadError> {
        self.ticker.into_iter().for_each(Ticker::end);
        // First what nothing can hold up.
        let history = self.history.unwrap_or_default();
        let report = self.outputs.deliver(found, |found| run_picture(found, history));
        let table = self.table.map(|table| {
            let is_open_loop = found.latency_ns.response.is_some();
            let name = if is_open_loop { "response" } else { "service" };
            table.deliver(&hgrm(name, found.main_latency()))
        });
        let log = self.log.map(|mut log| {
            log.write(|writer| writer.write_result(&found.into()));
            if found.verdict.interrupted {
                log.write(|writer| writer.write_incomplete(&found.verdict.reasons[0]));
            }
            log.finish()
        });
        [Some(report), log, table].into_iter().flatten().collect()
    }
}

/// A log that is written while the run goes on.
pub(super) struct Log {
    writer: hlog::Writer<Destination>,
    /// To be written before anything else.
    note: Option<hlog::RunNote>,
    /// The first error; the run goes on without the log then.
    outcome: io::Result<()>,
}

impl Log {
    pub(super) fn new(destination: Destination) -> Self {
        Self { writer: hlog::Writer::new(destination), note: None, outcome: Ok(()) }
    }

    /// A stream says at once whose log it is, so that it does if the run is killed; a file is not
    /// touched before there is a result.
    fn begin(&mut self, note: hlog::RunNote) {
        self.note = Some(note);
        if self.writer.target().is_stream() {
            self.write(|_| Ok(()));
        }
    }

    pub(super) fn write(
        &mut self,
        write: impl FnOnce(&mut hlog::Writer<Destination>) -> io::Result<()>,
    ) {
        let writer = &mut self.writer;
        if self.outcome.is_ok() {
            let noted = self.note.take().map_or(Ok(()), |note| writer.write_run(&note));
            self.outcome = noted.and_then(|()| write(writer));
        }
    }

    pub(super) fn finish(self) -> Result<(), LoadError> {
        let destination = self.writer.into_inner();
        match self.outcome {
            Ok(()) => destination.finish(),
            Err(error) => Err(destination.fail(&error)),
        }
    }
}
