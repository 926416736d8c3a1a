//! `merge`: logs of many generators become one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::destination::Destination;
use super::error::{LoadError, exit_code};
use super::output::{Form, open};
use super::results::Log;
use crate::load::report::hlog::{self, Merged, merge};
use crate::load::report::{MergedReport, hgrm};

/// Adds the logs of many generators up, without loss
///
/// Run a generator on each of many machines, each with its own --hlog, and merge what they logged:
/// counts and percentiles are those of one generator that had made all the load. Intervals that
/// started in the same second become one. The machines' clocks should be synchronised; if they are
/// not, only the times of intervals are wrong, not the sums.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringback-load merge a.hlog b.hlog c.hlog
  ringback-load merge *.hlog --hlog all.hlog --hgrm all.hgrm --format json -o all.json

Exit codes: 0 merged, 1 a file cannot be read or written, 2 usage, 5 a log is of a run that was
interrupted.")]
pub struct Merge {
    /// Logs (--hlog) of ringback-load or of any other tool, in nanoseconds
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    form: Form,
    /// Write the merged log into this file (.hlog)
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
    /// Write the percentile distribution into this file (.hgrm): in milliseconds, of the response
    /// if it was logged, else of the service
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
}

impl Merge {
    /// Reads everything, then writes: the merged log may replace one that it was made from.
    pub(super) fn execute(self) -> Result<ExitCode, LoadError> {
        check_named_once(&self.files)?;
        let outputs = self.form.open()?;
        let log = open("the log", "--hlog", self.hlog.as_deref())?;
        let table = open("the percentiles", "--hgrm", self.hgrm.as_deref())?;
        let all = [Some(&outputs.report), log.as_ref(), table.as_ref()];
        Destination::check_distinct(&all.into_iter().flatten().collect::<Vec<_>>())?;

        let mut log = log.map(Log::new);
        let merged = self.merge(log.as_mut())?;
        if let Some(log) = &mut log
            && !merged.incomplete.is_empty()
        {
            log.write_incomplete(&merged.incomplete.join("; "));
        }
        log.map_or(Ok(()), Log::finish)?;
        if let Some(table) = table {
            let (tag, total) = merged.main();
            table.deliver(&hgrm(tag.unwrap_or("values"), total))?;
        }
        outputs.deliver_report(&MergedReport::from(&merged))?;
        Ok(exit_code(merged.outcome()))
    }

    fn merge(&self, mut log: Option<&mut Log>) -> Result<Merged, LoadError> {
        let logs: Vec<hlog::Log> =
            self.files.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
        let merged = merge(&logs, &mut |interval| {
            if let Some(log) = &mut log {
                log.write(interval);
            }
        });
        merged.map_err(|error| LoadError::Read {
            path: self.files[error.log].clone(),
            why: error.to_string(),
        })
    }
}

fn read(path: &Path) -> Result<hlog::Log, LoadError> {
    let error = |why| LoadError::Read { path: path.to_owned(), why };
    let bytes = fs::read(path).map_err(|source| error(source.to_string()))?;
    let mut log = hlog::Log::read(&bytes).map_err(|problem| error(problem.to_string()))?;
    log.incomplete = log.incomplete.map(|why| format!("{}: {why}", path.display()));
    Ok(log)
}

/// Counts would double.
fn check_named_once(files: &[PathBuf]) -> Result<(), LoadError> {
    for (place, file) in files.iter().enumerate() {
        // What does not exist is told when it is read.
        let Ok(own) = file.canonicalize() else { continue };
        if files[..place].iter().any(|other| other.canonicalize().is_ok_and(|other| other == own)) {
            let file = file.display();
            return Err(LoadError::Usage(format!("{file} is named twice: name each log once")));
        }
    }
    Ok(())
}
