//! A file that a result goes to.
//!
//! It is looked at before the run, so that a mistake does not cost one, and is not touched until
//! there is a result: a run that fails leaves the old file as it was. Then the result is written
//! beside it and takes its place, whole or not at all. Pipes and devices are written to as they
//! are; `-` and `/dev/stdout` are stdout.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek, Write, stdout};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use super::detached::Detached;
use super::error::LoadError;
use super::inputs::Identity;

/// How the name of a file ends that is to take another's place.
const SUFFIX: &str = ".tmp";
/// Permissions of a new file, before the process's mask.
const READ_AND_WRITE: u32 = 0o666;

#[derive(Debug)]
pub(super) struct Destination {
    what: &'static str,
    option: &'static str,
    path: PathBuf,
    is_stdout: bool,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Stdout, a pipe, a device, or a file in a directory that takes no other.
    Direct(File),
    /// One of these whose reader nothing waits for.
    Detached(Detached),
    /// A file that is replaced, or made. Until then what was written has no name, so that nothing
    /// is left of it however the program ends.
    File { target: PathBuf, written: Option<File> },
}

impl Destination {
    /// The file that an option names, or stdout if it names none.
    pub(super) fn open(
        what: &'static str,
        option: &'static str,
        path: Option<&Path>,
    ) -> Result<Self, LoadError> {
        let path = path.filter(|path| *path != Path::new("-") && *path != Path::new("/dev/stdout"));
        let place = path.map_or_else(Place::stdout, Place::of);
        let (is_stdout, path) = (path.is_none(), path.unwrap_or(Path::new("stdout")).to_owned());
        match place {
            Ok(place) => Ok(Self { what, option, path, is_stdout, place }),
            Err(error) => Err(LoadError::usage(format!(
                "cannot write {what} to {}: {error}; choose another {option}",
                path.display()
            ))),
        }
    }

    /// Two results in one file would be neither.
    pub(super) fn check_distinct(all: &[&Self]) -> Result<(), LoadError> {
        for (place, one) in all.iter().enumerate() {
            if let Some(other) = all[..place].iter().find(|other| one.is_same(other)) {
                return Err(LoadError::usage(one.collides(other)));
            }
        }
        Ok(())
    }

    fn is_same(&self, other: &Self) -> bool {
        if let (Place::File { target, .. }, Place::File { target: other, .. }) =
            (&self.place, &other.place)
        {
            return target == other;
        }
        let is_same = self.identity().is_some_and(|own| other.identity() == Some(own));
        is_same || (self.is_stdout && other.is_stdout)
    }

    fn collides(&self, other: &Self) -> String {
        let file = if self.is_stdout { other } else { self };
        match (self.is_stdout, other.is_stdout) {
            (true, true) => format!(
                "{} and {} would both go to stdout: give one of them a file",
                self.what, other.what
            ),
            (false, false) => {
                format!("{} and {} name the same file: name two", self.option, other.option)
            }
            _ => format!(
                "stdout is {}, which {} names: send one of them elsewhere",
                file.path.display(),
                file.option
            ),
        }
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        let found = match &self.place {
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
        if self.is_stdout {
            return format!("stdout is {input}, which is read: send {} elsewhere", self.what);
        }
        let (option, path) = (self.option, self.path.display());
        format!("{option} names {path}, which is read as {input}: name another file")
    }

    /// Writes a whole document. Where that fails, the file is as it was before.
    pub(super) fn deliver(mut self, document: &str) -> Result<(), LoadError> {
        match self.write_all(document.as_bytes()) {
            Ok(()) => self.finish(),
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// Lets nothing wait for whoever reads what is written, except for a while at the end.
    pub(super) fn detached(self) -> Result<Self, LoadError> {
        match self.place {
            // A file has no reader that could stall.
            Place::Direct(file) if !is_file(&file) => match Detached::over(file) {
                Ok(detached) => Ok(Self { place: Place::Detached(detached), ..self }),
                Err(error) => Err(failed(self.what, &self.path, &error)),
            },
            _ => Ok(self),
        }
    }

    /// Returns whether it is written to as it goes on, and has no old content that a failure would
    /// have to leave.
    pub(super) fn is_stream(&self) -> bool {
        self.is_stdout || matches!(self.place, Place::Detached(_))
    }

    pub(super) fn is_stdout(&self) -> bool {
        self.is_stdout
    }

    /// Everything was written: puts it in its place.
    pub(super) fn finish(mut self) -> Result<(), LoadError> {
        let settled = match &mut self.place {
            Place::Direct(file) if is_file(file) && !self.is_stdout => end_here(file),
            Place::Direct(_) => Ok(()),
            Place::Detached(stream) => ignore_reader_gone(stream.finish(), ()),
            Place::File { target, written } => replace(target, written.take()),
        };
        settled.map_err(|error| self.fail(&error))
    }

    pub(super) fn fail(&self, error: &io::Error) -> LoadError {
        failed(self.what, &self.path, error)
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> LoadError {
    LoadError::nothing(format!("cannot write {what} to {}: {error}", path.display()))
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.place {
            Place::Direct(file) => ignore_reader_gone(file.write(bytes), bytes.len()),
            Place::Detached(stream) => ignore_reader_gone(stream.write(bytes), bytes.len()),
            Place::File { target, written } => match written {
                Some(file) => file.write(bytes),
                None => written.insert(nameless(target)?).write(bytes),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Place {
    fn stdout() -> io::Result<Self> {
        Ok(Self::Direct(stdout().as_fd().try_clone_to_owned()?.into()))
    }

    fn of(path: &Path) -> io::Result<Self> {
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
}

/// Cuts off what an old file, which was not emptied before, had more.
fn end_here(file: &mut File) -> io::Result<()> {
    let length = file.stream_position()?;
    file.set_len(length)?;
    file.sync_all()
}

/// Puts what was written in the place of a file, whole or not at all. It is on the disk before it
/// has a name, so that a signal that ends the program leaves nothing.
fn replace(target: &Path, written: Option<File>) -> io::Result<()> {
    let file = written.map_or_else(|| nameless(target), Ok)?;
    if let Ok(old) = fs::metadata(target) {
        file.set_permissions(old.permissions())?;
    }
    file.sync_all()?;
    match link(&file, target) {
        Err(Errno::EXIST) => {
            let beside = tempfile::Builder::new()
                .prefix(&prefix_of(target))
                .suffix(SUFFIX)
                .make_in(directory_of(target), |path| link(&file, path).map_err(Into::into))?;
            beside.into_temp_path().persist(target).map_err(|error| error.error)
        }
        // A file that had a name once, where there are none without.
        Err(_) => copy(target, file),
        Ok(()) => Ok(()),
    }
}

/// Gives an open file a name, which must be new.
fn link(file: &File, path: &Path) -> Result<(), Errno> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW)
}

fn copy(target: &Path, mut written: File) -> io::Result<()> {
    let mut file = beside_of(target)?;
    written.rewind()?;
    io::copy(&mut written, file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist(target).map(drop).map_err(|error| error.error)
}

/// A new file in the same directory, with the permissions of the one that it is to replace. It is
/// removed when it is dropped.
fn beside_of(target: &Path) -> io::Result<NamedTempFile> {
    let file = tempfile::Builder::new()
        .prefix(&prefix_of(target))
        .suffix(SUFFIX)
        .permissions(Permissions::from_mode(READ_AND_WRITE))
        .tempfile_in(directory_of(target))
        // The crate's error names the file that could not be made; ours names the target.
        .map_err(|error| error.raw_os_error().map_or(error, io::Error::from_raw_os_error))?;
    if let Ok(old) = fs::metadata(target) {
        file.as_file().set_permissions(old.permissions())?;
    }
    Ok(file)
}

/// How the name begins of a file that is to take another's place.
fn prefix_of(target: &Path) -> String {
    format!(".{}.", target.file_name().unwrap_or_default().to_string_lossy())
}

/// A new file in the same directory that has no name (`O_TMPFILE`), or where there are none such,
/// has lost it.
fn nameless(target: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let directory = directory_of(target);
    rustix::fs::open(directory, flags, Mode::from_raw_mode(READ_AND_WRITE))
        .map(File::from)
        .or_else(|_| tempfile::tempfile_in(directory))
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn what_was_written_without_a_name_takes_the_place_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        // Where there was no file, and where there was one.
        for text in ["one", "another"] {
            let mut destination = Destination::open("the log", "--hlog", Some(&path)).unwrap();
            destination.write_all(text.as_bytes()).unwrap();
            let Place::File { written: Some(file), .. } = &destination.place else {
                panic!("{destination:?}")
            };
            let inode = file.metadata().unwrap().ino();
            destination.finish().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::metadata(&path).unwrap().ino(), inode, "no copy is made");
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
    }
}
