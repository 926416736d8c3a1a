//! Why settings cannot be had.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::Origin;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// A file or variable holds something that is no setting, or not its value.
    #[error("{place}: {reason}")]
    Invalid {
        /// `FILE:LINE` or the variable.
        place: String,
        /// Cause and fix.
        reason: String,
    },
    /// The file cannot be read.
    #[error("cannot read {}, named by {by}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Who named it.
        by: String,
        /// The kernel's error.
        source: io::Error,
    },
}

impl SettingsError {
    pub(super) fn invalid(origin: &Origin, reason: impl fmt::Display) -> Self {
        Self::Invalid { place: origin.to_string(), reason: reason.to_string() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::CommandLine => f.write_str("the command line"),
        }
    }
}

/// The end of a message about a name that does not exist.
pub(super) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || "ringback example-config lists them".to_owned(),
        |name| format!("did you mean {name}?"),
    )
}
