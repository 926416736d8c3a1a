//! The last lines that a server wrote, for the error message when it fails.

use std::io::{self, PipeReader, Read};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::load::format::printable;

/// How much is kept: enough for a message and its surroundings, whatever is written.
const KEPT_BYTES: usize = 4096;
const KEPT_LINES: usize = 10;

/// The end of a server's standard output and error.
#[derive(Debug)]
pub(super) struct Output {
    kept: Arc<Tail>,
    reader: JoinHandle<()>,
}

impl Output {
    /// The command will write into one pipe, which a thread empties as long as anybody holds it.
    pub(super) fn of(command: &mut Command) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let kept = Arc::new(Tail::default());
        let keeper = Arc::clone(&kept);
        let reader = thread::Builder::new()
            .name("server-output".to_owned())
            .spawn(move || keeper.keep_from(reader))?;
        Ok(Self { kept, reader })
    }

    /// The last lines, fit for a terminal, when nobody is left who could write any.
    pub(super) fn last_lines(&self) -> Vec<String> {
        /// Whoever could not be killed may write for ever.
        const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(500);
        let deadline = Instant::now() + LAST_LINES_TIMEOUT;
        while !self.reader.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        self.kept.lines()
    }
}

#[derive(Debug, Default)]
struct Tail(Mutex<Vec<u8>>);

impl Tail {
    fn keep_from(&self, mut reader: PipeReader) {
        let mut buffer = [0; KEPT_BYTES];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => self.keep(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn keep(&self, written: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(written);
        let surplus = kept.len().saturating_sub(KEPT_BYTES);
        kept.drain(..surplus);
    }

    fn lines(&self) -> Vec<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let lines: Vec<String> = text
            .lines()
            .map(|line| printable(line.trim_end()))
            .filter(|line| !line.is_empty())
            .collect();
        lines[lines.len().saturating_sub(KEPT_LINES)..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let output = Tail::default();
        (0..10_000).for_each(|number| output.keep(format!("line {number}\n").as_bytes()));
        let lines = output.lines();
        assert_eq!((lines.len(), lines[9].as_str()), (KEPT_LINES, "line 9999"));
        output.keep(&[b'x'; 3 * KEPT_BYTES]);
        assert_eq!(output.lines(), ["x".repeat(KEPT_BYTES)]);
    }

    #[test]
    fn nothing_in_them_moves_the_cursor() {
        let output = Tail::default();
        output.keep(b"\x1b[2Jgone\r\n\n\xff\ttab");
        assert_eq!(output.lines(), ["\\u{1b}[2Jgone", "\u{fffd}\\ttab"]);
    }
}
