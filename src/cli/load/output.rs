//! Where reports go, and in which form.

use std::fs::File;
use std::io::{Write, stdout};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, ValueEnum};

use super::error::LoadError;

/// Options of every command that reports.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Reporting {
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    /// Write the report to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Draw the result into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// No progress line
    #[arg(long)]
    pub(super) quiet: bool,
}

/// Form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

impl Reporting {
    /// Opens what the report is written to, before the run, so that a mistake does not cost one.
    pub(super) fn open(&self) -> Result<Destination, LoadError> {
        self.output.as_deref().map_or(Ok(Destination::STDOUT), Destination::report)
    }

    /// Opens what the picture is written to, if one is wanted, beside the report.
    pub(super) fn open_picture(
        &self,
        report: &Destination,
    ) -> Result<Option<Destination>, LoadError> {
        let Some(path) = &self.svg else { return Ok(None) };
        let picture = Destination::create("the picture", "--svg", path)?;
        if picture.is_same_file(report) {
            let why = "--svg and --output name the same file: name two";
            return Err(LoadError::Usage(why.to_owned()));
        }
        Ok(Some(picture))
    }
}

/// What a document is written to.
#[derive(Debug)]
pub(super) struct Destination {
    what: &'static str,
    option: &'static str,
    /// Stdout if there is none.
    file: Option<(PathBuf, File)>,
}

impl Destination {
    /// Where a document goes that no option sends elsewhere.
    pub(super) const STDOUT: Self = Self { what: "the report", option: "--output", file: None };

    /// The file that `--output` names.
    pub(super) fn report(path: &Path) -> Result<Self, LoadError> {
        Self::create("the report", "--output", path)
    }

    fn create(what: &'static str, option: &'static str, path: &Path) -> Result<Self, LoadError> {
        let path = path.to_path_buf();
        match File::create(&path) {
            Ok(file) => Ok(Self { what, option, file: Some((path, file)) }),
            Err(source) => Err(LoadError::Output { what, option, path, source }),
        }
    }

    /// Whether one document would overwrite the other.
    fn is_same_file(&self, other: &Self) -> bool {
        let identity = |destination: &Self| {
            let metadata = destination.file.as_ref()?.1.metadata().ok()?;
            metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
        };
        identity(self).is_some_and(|own| identity(other) == Some(own))
    }

    /// Writes a whole document.
    pub(super) fn deliver(self, document: &str) -> Result<(), LoadError> {
        let Self { what, option, file } = self;
        let (path, outcome) = match file {
            Some((path, mut file)) => {
                let outcome = file.write_all(document.as_bytes());
                (path, outcome)
            }
            None => (Path::new("stdout").to_owned(), stdout().write_all(document.as_bytes())),
        };
        outcome.map_err(|source| LoadError::Output { what, option, path, source })
    }
}

/// The time of day, to the minute, for a picture.
pub(super) fn now() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    format!("{} {} UTC", &now[..10], &now[11..16])
}
