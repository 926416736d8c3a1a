//! `merge`: logs of many generators become one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tracing::warn;

use super::super::exit_codes::load as exit_codes;
use super::destination::Destination;
use super::error::{LoadError, exit_code};
use super::inputs::{check_named_once, check_not_written, read, unreadable};
use super::output::{self, open};
use super::results::Log;
use crate::load::format::printable;
use crate::load::report::form::Form;
use crate::load::report::hlog::{self, Problem, merge};
use crate::load::report::{Merged, Scrape, hgrm};

/// Adds the logs of many generators up, without loss
///
/// Run a generator on each of many machines, each with its own --hlog, and merge what they logged:
/// counts and percentiles are those of one generator that had made all the load. Intervals of the
/// same time become one; those that overlap by parts stay apart, and `plot` adds their rates.
///
/// Parts of one run (--part) are one measurement: VALID if all are there, once each, valid, and at
/// the same time, by clocks that should be synchronised. Parts of different runs are a mistake on the
/// command line. Other logs have the worst verdict among them.
#[derive(Debug, Args)]
#[command(
    after_help = "More options and examples: ringback-load merge --help",
    after_long_help = exit_codes::below("\
Examples:
  ringback-load merge a.hlog b.hlog c.hlog
  ringback-load merge *.hlog --hlog all.hlog --hgrm all.hgrm --format json -o all.json
  ringback-load merge part-*.hlog --server-metrics before.txt after.txt")
)]
pub struct Merge {
    /// Logs (--hlog) of ringback-load or of any other tool, in nanoseconds
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    form: output::Form,
    #[command(flatten)]
    percentiles: output::Percentiles,
    /// Go on without logs that hold neither an interval nor a note on their run, and name them
    #[arg(long)]
    skip_empty: bool,
    /// Check that the server received what the generators sent, and sent what they received: by its
    /// metrics (`ringback serve --admin`, /metrics) before the run and after it. For several
    /// servers it may be repeated
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"])]
    server_metrics: Vec<PathBuf>,
    /// Write the merged log into this file (.hlog)
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
    /// Write the percentile distribution into this file (.hgrm): in milliseconds, of the response
    /// if it was logged, else of the service, else of all tags together
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
}

impl Merge {
    /// Reads everything, then writes; never over what is read.
    pub(super) fn execute(self) -> Result<ExitCode, LoadError> {
        check_named_once(&self.files)?;
        let outputs = self.form.open(&self.percentiles)?;
        let log = open("the log", "--hlog", self.hlog.as_deref())?;
        let table = open("the percentiles", "--hgrm", self.hgrm.as_deref())?;
        let all = [Some(&outputs.report), log.as_ref(), table.as_ref()];
        let all: Vec<&Destination> = all.into_iter().flatten().collect();
        Destination::check_distinct(&all)?;
        check_not_written(&self.files, &all)?;
        check_not_written(&self.server_metrics, &all)?;

        let mut log = log.map(Log::new);
        let merged = self.merge(log.as_mut())?;
        if let Some(log) = &mut log {
            log.write(|writer| writer.write_result(&(&merged).into()));
            if !merged.incomplete.is_empty() {
                log.write(|writer| writer.write_incomplete(&merged.incomplete.join("; ")));
            }
        }
        // Each whatever becomes of the others.
        let report = outputs.deliver_report(&merged);
        let log = log.map_or(Ok(()), Log::finish);
        let table = table.map_or(Ok(()), |table| {
            let (tags, total) = merged.main();
            let name = if let [Some(tag)] = tags.as_slice() { tag } else { "values" };
            table.deliver(&hgrm(name, &total))
        });
        report.and(log).and(table)?;
        Ok(exit_code(merged.outcome()))
    }

    fn merge(&self, mut log: Option<&mut Log>) -> Result<Merged, LoadError> {
        let scrapes = self.scrapes()?;
        let read = self.read()?;
        hlog::check_one_run(&read.logs).map_err(LoadError::usage)?;
        let merged = merge(&read.logs, &mut |interval| {
            if let Some(log) = &mut log {
                log.write(|writer| writer.write(interval));
            }
        });
        let mut merged = merged.map_err(|error| unreadable(read.files[error.log], error))?;
        merged.add_incomplete(read.left_out);
        if !scrapes.is_empty() {
            merged.check_servers(&scrapes);
        }
        Ok(merged)
    }

    /// Each server's, before and after.
    fn scrapes(&self) -> Result<Vec<(Scrape, Scrape)>, LoadError> {
        let (pairs, _) = self.server_metrics.as_chunks::<2>();
        pairs
            .iter()
            .map(|[before, after]| Ok((read_scrape(before)?, read_scrape(after)?)))
            .collect()
    }

    fn read(&self) -> Result<Read<'_>, LoadError> {
        let (mut files, mut logs, mut empty) = (Vec::new(), Vec::new(), Vec::new());
        let mut left_out = Vec::new();
        for file in &self.files {
            match read_log(file)? {
                Ok(log) => {
                    files.push(file.as_path());
                    logs.push(log);
                }
                Err(why) => {
                    empty.push(file.as_path());
                    left_out.extend(why);
                }
            }
        }
        if let Some(first) = empty.first()
            && (logs.is_empty() || !self.skip_empty)
        {
            return Err(unreadable(first, nothing_logged(&empty, !logs.is_empty())));
        }
        if logs.iter().all(|log| log.entries.is_empty()) {
            let why = logs.iter().find_map(hlog::Log::failure);
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            return Err(unreadable(files[0], nothing_logged(&files, false) + &why));
        }
        for file in empty {
            warn!("{}", printable(&format!("{} holds no interval: left out", file.display())));
        }
        Ok(Read { files, logs, left_out })
    }
}

/// The logs that hold an interval or a note on their run, and their files.
struct Read<'a> {
    files: Vec<&'a Path>,
    logs: Vec<hlog::Log>,
    /// A sentence for each other one that is not complete.
    left_out: Vec<String>,
}

fn read_scrape(path: &Path) -> Result<Scrape, LoadError> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    Scrape::read(&text).map_err(|error| unreadable(path, error))
}

/// A log, or where it holds neither an interval nor a note, why it is not complete.
fn read_log(path: &Path) -> Result<Result<hlog::Log, Option<String>>, LoadError> {
    let bytes = read(path)?;
    let of_file = |why: String| format!("{}: {why}", printable(&path.to_string_lossy()));
    match hlog::Log::read(&bytes) {
        Ok(mut log) => {
            log.name = printable(&path.to_string_lossy());
            log.incomplete = log.incomplete.map(of_file);
            Ok(Ok(log))
        }
        Err(hlog::LogError { problem: Problem::NoInterval { incomplete }, .. }) => {
            Ok(Err(incomplete.map(of_file)))
        }
        Err(error) => Err(unreadable(
            path,
            match Form::of(&bytes) {
                Form::Log | Form::Unknown => error.to_string(),
                Form::Json => not_a_log("a JSON document"),
                Form::Other(form) => not_a_log(form),
            },
        )),
    }
}

fn not_a_log(form: &str) -> String {
    format!("it is {form}: logs of histograms (--hlog) can be merged")
}

/// Why logs without an interval cannot be read, with others or alone.
fn nothing_logged(empty: &[&Path], are_there_others: bool) -> String {
    let more: String =
        empty[1..].iter().map(|file| format!(", nor in {}", file.display())).collect();
    let remedy = if are_there_others {
        "; leave out what is empty, or go on without it by --skip-empty"
    } else {
        ""
    };
    format!("there is no interval in it{more}: nothing was logged{remedy}")
}
