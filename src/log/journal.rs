//! Standard error as the journal's stream.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::fstat;

/// The variable in which systemd names device and inode of the stream that it gave a service
/// (`systemd.exec(5)`).
const VARIABLE: &str = "JOURNAL_STREAM";

/// Returns whether standard error is the journal, and was not redirected since.
pub(super) fn is_stderr() -> bool {
    let named = std::env::var(VARIABLE).ok();
    named.is_some_and(|named| is_stream(io::stderr().as_fd(), &named))
}

fn is_stream(descriptor: impl AsFd, named: &str) -> bool {
    fstat(descriptor).is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stream_that_is_named_is_the_journal() {
        let (reader, writer) = io::pipe().expect("a pipe can be had");
        let stat = fstat(&writer).expect("it is open");
        let named = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert!(is_stream(&reader, &named), "both ends are one inode");
        assert!(!is_stream(&writer, &format!("{}:{}", stat.st_dev, stat.st_ino + 1)));
        for other in ["", "0:0", "1", "x:y"] {
            assert!(!is_stream(&writer, other), "{other:?}");
        }
    }
}
