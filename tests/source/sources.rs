//! The project's own sources, for tests that read them.

use std::fs;
use std::path::{Path, PathBuf};

/// The Rust files below a directory; what a build left there is not source.
pub(crate) fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let folders = folders.iter().filter(|folder| !folder.ends_with("target"));
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    folders.flat_map(|folder| sources(folder)).chain(files).collect()
}
