//! `plot`: pictures of saved results.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::super::exit_codes::load as exit_codes;
use super::error::LoadError;
use super::inputs::{check_not_written, read};
use super::output::open_report;
use crate::load::draw;

/// More would not be told apart.
const MAX_FILES: usize = 12;

/// Draws saved results as one SVG picture
///
/// Of runs latency by percentile, and from logs latency and throughput over time; of sweeps latency
/// against throughput. Several runs or sweeps are drawn over each other, named by their files.
#[derive(Debug, Args)]
#[command(
    after_help = "More options and examples: ringback-load plot --help",
    after_long_help = exit_codes::below("\
Examples:
  ringback-load plot run.json -o run.svg
  ringback-load plot run.hlog -o run.svg
  ringback-load plot before.json after.json -o both.svg

Logs (.hlog) are read as nanoseconds. A log tells most: a report knows a few percentiles only.")
)]
pub struct Plot {
    /// JSON reports (--format json) and logs (--hlog), at most 12
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the picture to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Plot {
    /// Reads everything, then draws and writes; never over what is read.
    pub(super) fn execute(self) -> Result<ExitCode, LoadError> {
        if self.files.len() > MAX_FILES {
            return Err(LoadError::usage(format!(
                "{} files are too many to tell apart in one picture: name at most {MAX_FILES}",
                self.files.len()
            )));
        }
        let output = open_report(self.output.as_deref())?;
        check_not_written(&self.files, &[&output])?;
        let saved = self.files.iter().zip(names(&self.files));
        let saved: Result<Vec<_>, LoadError> =
            saved.map(|(path, name)| Ok((name, read_saved(path)?))).collect();
        let picture = draw::picture(saved?).map_err(|error| LoadError::usage(error.to_string()))?;
        output.deliver(&picture)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn read_saved(path: &Path) -> Result<draw::Saved, LoadError> {
    draw::read(&read(path)?)
        .map_err(|why| LoadError::nothing(format!("cannot draw {}: {why}", path.display())))
}

/// The files' names without their directories, unless two would be the same.
fn names(files: &[PathBuf]) -> Vec<String> {
    let short = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    files
        .iter()
        .map(|path| {
            let same = files.iter().filter(|other| short(other) == short(path)).count();
            let whole = || path.to_string_lossy().into_owned();
            if same == 1 { short(path).unwrap_or_else(whole) } else { whole() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_named_by_their_files() {
        let files = ["a/run.json", "b/run.json", "c/other.json"].map(PathBuf::from);
        assert_eq!(names(&files), ["a/run.json", "b/run.json", "other.json"]);
    }
}
