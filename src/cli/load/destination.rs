//! A file that a result goes to.
//!
//! It is looked at before the run, so that a mistake does not cost one, and is not touched until
//! there is a result: a run that fails leaves the old file as it was. Then the result is written
//! beside it and takes its place, whole or not at all. Pipes and devices are written to as they
//! are; `-` and `/dev/stdout` are stdout.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek, Write, stdout};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::detached::Detached;
use super::error::LoadError;
use super::inputs::Identity;

/// Where a result goes.
#[derive(Debug)]
pub(super) struct Destination {
    what: &'static str,
    option: &'static str,
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Stdout,
    /// A pipe, a device, or a file in a directory that takes no other.
    Direct(File),
    /// One of these, or stdout, whose reader nothing waits for.
    Detached(Detached),
    /// A file that is replaced, or made. Until then what was written has no name, so that nothing
    /// is left of it however the program ends.
    File {
        target: PathBuf,
        written: Option<File>,
    },
}

impl Destination {
    /// Where a result goes that no option sends elsewhere.
    pub(super) fn stdout(what: &'static str) -> Self {
        Self { what, option: "--output", path: "stdout".into(), place: Place::Stdout }
    }

    /// The file that an option names.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn open(
        what: &'static str,
        option: &'static str,
        path: &Path,
    ) -> Result<Self, LoadError> {
        let path = path.to_owned();
        match Place::of(&path) {
            Ok(place) => Ok(Self { what, option, path, place }),
            Err(source) => Err(LoadError::Output { what, option, path, source }),
        }
    }

    /// Two results in one file would be neither.
    ///
    /// # Errors
    ///
    /// When two of them go to the same place.
    pub(super) fn check_distinct(all: &[&Self]) -> Result<(), LoadError> {
        for (place, one) in all.iter().enumerate() {
            for other in &all[..place] {
                if one.place.is_same(&other.place) {
                    return Err(LoadError::Usage(one.same_as(other)));
                }
            }
        }
        Ok(())
    }

    /// The file that it is or replaces, if that is there.
    pub(super) fn identity(&self) -> Option<Identity> {
        let found = match &self.place {
            Place::Stdout => File::from(stdout().as_fd().try_clone_to_owned().ok()?).metadata(),
            Place::Direct(file) => file.metadata(),
            // A stream is no file.
            Place::Detached(_) => return None,
            Place::File { target, .. } => fs::metadata(target),
        };
        Identity::of(&found.ok()?)
    }

    /// The message that the command reads what this would replace.
    pub(super) fn is_input(&self, input: &Path) -> String {
        let input = input.display();
        match self.place {
            Place::Stdout => {
                format!("stdout is {input}, which is read: send {} elsewhere", self.what)
            }
            Place::Direct(_) | Place::Detached(_) | Place::File { .. } => format!(
                "{} names {}, which is read as {input}: name another file",
                self.option,
                self.path.display()
            ),
        }
    }

    /// Writes a whole document.
    ///
    /// # Errors
    ///
    /// When it cannot be written. The file is as it was before then.
    pub(super) fn deliver(mut self, document: &str) -> Result<(), LoadError> {
        match self.write_all(document.as_bytes()) {
            Ok(()) => self.finish(),
            Err(source) => Err(self.fail(source)),
        }
    }

    /// Lets nothing wait for whoever reads what is written, except for a while at the end.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub(super) fn detached(mut self) -> Result<Self, LoadError> {
        let detached = match self.place {
            Place::Stdout => Detached::over(stdout()),
            // A file has no reader that could stall.
            Place::Direct(file) if !is_file(&file) => Detached::over(file),
            place @ (Place::Direct(_) | Place::Detached(_) | Place::File { .. }) => {
                return Ok(Self { place, ..self });
            }
        };
        // In an error it is named as what it was.
        self.place = Place::Stdout;
        match detached {
            Ok(detached) => Ok(Self { place: Place::Detached(detached), ..self }),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Returns whether nothing can go to stdout in its stead.
    pub(super) fn is_stdout(&self) -> bool {
        matches!(self.place, Place::Stdout)
    }

    /// Everything was written: puts it in its place.
    ///
    /// # Errors
    ///
    /// When not everything could be stored.
    pub(super) fn finish(mut self) -> Result<(), LoadError> {
        let outcome = self.flush().and_then(|()| self.place.settle());
        outcome.map_err(|source| self.fail(source))
    }

    /// The error of a write that failed.
    pub(super) fn fail(self, source: io::Error) -> LoadError {
        LoadError::Write { what: self.what, path: self.path, source }
    }

    fn same_as(&self, other: &Self) -> String {
        match self.place {
            Place::Stdout => format!(
                "{} and {} would both go to stdout: give one of them a file",
                self.what, other.what
            ),
            Place::Direct(_) | Place::Detached(_) | Place::File { .. } => {
                format!("{} and {} name the same file: name two", self.option, other.option)
            }
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.place {
            Place::Stdout => ignore_reader_gone(stdout().write(bytes), bytes.len()),
            Place::Direct(file) => ignore_reader_gone(file.write(bytes), bytes.len()),
            Place::Detached(stream) => ignore_reader_gone(stream.write(bytes), bytes.len()),
            Place::File { target, written } => match written {
                Some(file) => file.write(bytes),
                None => written.insert(nameless(target)?).write(bytes),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.place {
            Place::Stdout => ignore_reader_gone(stdout().flush(), ()),
            Place::Direct(_) | Place::Detached(_) | Place::File { .. } => Ok(()),
        }
    }
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") || path == Path::new("/dev/stdout") {
            return Ok(Self::Stdout);
        }
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() || is_descriptor(path) => {
                Ok(Self::Direct(OpenOptions::new().append(true).open(path)?))
            }
            Ok(_) => Self::existing(path),
            Err(_) => {
                let directory = match path.parent() {
                    Some(directory) if directory != Path::new("") => directory,
                    _ => Path::new("."),
                };
                let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
                Self::file(directory.canonicalize()?.join(name))
            }
        }
    }

    fn existing(path: &Path) -> io::Result<Self> {
        // It is opened to see whether it may be written, and not written.
        let file = OpenOptions::new().write(true).open(path)?;
        match Self::file(path.canonicalize()?) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Self::Direct(file)),
            place => place,
        }
    }

    fn file(target: PathBuf) -> io::Result<Self> {
        // Made to see whether it can be, and removed again.
        beside_of(&target)?.close()?;
        Ok(Self::File { target, written: None })
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Stdout, Self::Stdout) => true,
            (Self::Direct(one), Self::Direct(other)) => {
                let identity = |file: &File| Identity::of(&file.metadata().ok()?);
                identity(one).is_some_and(|one| identity(other) == Some(one))
            }
            (Self::File { target, .. }, Self::File { target: other, .. }) => target == other,
            _ => false,
        }
    }

    fn settle(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::Direct(file) if is_file(file) => {
                // It was not emptied before.
                let length = io::Seek::stream_position(file)?;
                file.set_len(length)?;
                file.sync_all()
            }
            Self::Direct(_) => Ok(()),
            Self::Detached(stream) => ignore_reader_gone(stream.finish(), ()),
            Self::File { target, written } => {
                let mut file = beside_of(target)?;
                if let Some(mut written) = written.take() {
                    written.rewind()?;
                    io::copy(&mut written, file.as_file_mut())?;
                }
                file.as_file().sync_all()?;
                file.persist(target).map(drop).map_err(|error| error.error)
            }
        }
    }
}

/// A new file in the same directory, with the permissions of the one that it is to replace. It is
/// removed when it is dropped.
fn beside_of(target: &Path) -> io::Result<NamedTempFile> {
    /// Of a new file, before the process's mask.
    const READ_AND_WRITE: u32 = 0o666;
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let file = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".tmp")
        .permissions(Permissions::from_mode(READ_AND_WRITE))
        .tempfile_in(directory_of(target))
        // The crate's error names the file that could not be made; ours names the target.
        .map_err(|error| error.raw_os_error().map_or(error, io::Error::from_raw_os_error))?;
    if let Ok(old) = fs::metadata(target) {
        file.as_file().set_permissions(old.permissions())?;
    }
    Ok(file)
}

/// A new file in the same directory that has no name (`O_TMPFILE`).
fn nameless(target: &Path) -> io::Result<File> {
    tempfile::tempfile_in(directory_of(target))
        .map_err(|error| error.raw_os_error().map_or(error, io::Error::from_raw_os_error))
}

fn directory_of(target: &Path) -> &Path {
    target.parent().unwrap_or(Path::new("/"))
}

fn is_file(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.is_file())
}

/// Returns whether a path names an open file of this process: it is written to where it stands.
fn is_descriptor(path: &Path) -> bool {
    ["/dev/fd", "/proc"].iter().any(|directory| path.starts_with(directory))
        || path == Path::new("/dev/stderr")
}

/// Whoever read a pipe and left, as `head` does, has what they wanted.
fn ignore_reader_gone<T>(outcome: io::Result<T>, all: T) -> io::Result<T> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(all),
        outcome => outcome,
    }
}
