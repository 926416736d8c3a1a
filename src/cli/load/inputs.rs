//! Files that a command reads, told apart by what they are and not by their names.

use std::fmt::Display;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::destination::Destination;
use super::error::LoadError;

pub(super) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    fs::read(path).map_err(|error| unreadable(path, error))
}

pub(super) fn unreadable(path: &Path, why: impl Display) -> LoadError {
    LoadError::nothing(format!("cannot read {}: {why}", path.display()))
}

/// Counts of a file that is named twice, by any of its names, would double.
pub(super) fn check_named_once(files: &[PathBuf]) -> Result<(), LoadError> {
    for (place, file) in files.iter().enumerate() {
        // What does not exist is an error when it is read.
        let Some(own) = identity_of(file) else { continue };
        let Some(other) = files[..place].iter().find(|other| identity_of(other) == Some(own))
        else {
            continue;
        };
        let (file, other) = (file.display(), other.display());
        let is_same_name = file.to_string() == other.to_string();
        let also = if is_same_name { String::new() } else { format!(" (as {other} too)") };
        return Err(LoadError::usage(format!("{file} is named twice{also}: name each log once")));
    }
    Ok(())
}

/// A result that took the place of what it was made from would destroy the only copy of it.
pub(super) fn check_not_written(
    files: &[PathBuf],
    results: &[&Destination],
) -> Result<(), LoadError> {
    for result in results {
        let Some(written) = result.identity() else { continue };
        if let Some(file) = files.iter().find(|file| identity_of(file) == Some(written)) {
            return Err(LoadError::usage(result.is_input(file)));
        }
    }
    Ok(())
}

fn identity_of(path: &Path) -> Option<Identity> {
    Identity::of(&fs::metadata(path).ok()?)
}

/// A file whatever its name: neither that nor a link tells files apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// `None` of what can be read and written, or read twice, without harm, as terminals.
    pub(super) fn of(found: &Metadata) -> Option<Self> {
        let kind = found.file_type();
        let is_consumed = kind.is_file() || kind.is_fifo() || kind.is_block_device();
        is_consumed.then(|| Self { device: found.dev(), inode: found.ino() })
    }
}
