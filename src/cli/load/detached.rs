//! A stream whose reader may stall: a thread of its own writes, and nothing waits for it.

use std::io::{self, Write};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel,
};
use std::thread;
use std::time::Duration;

/// Pieces that wait for the reader: of a run's log, minutes of seconds.
const MAX_WAITING: usize = 1024;
/// How long the reader may take for the rest.
const FINISH_LIMIT: Duration = Duration::from_secs(5);

/// The end of the stream that is written to.
#[derive(Debug)]
pub(super) struct Detached {
    pieces: Option<SyncSender<Vec<u8>>>,
    outcome: Receiver<io::Result<()>>,
}

impl Detached {
    pub(super) fn over(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (pieces, waiting) = sync_channel::<Vec<u8>>(MAX_WAITING);
        let (tell, outcome) = channel();
        let body = move || {
            let written = waiting.iter().try_for_each(|piece| out.write_all(&piece));
            // It fails only where nobody waits for it any more.
            let _ = tell.send(written.and_then(|()| out.flush()));
        };
        thread::Builder::new().name("stream".to_owned()).spawn(body)?;
        Ok(Self { pieces: Some(pieces), outcome })
    }

    /// Waits for the reader to take the rest, for a while.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.pieces = None;
        match self.outcome.recv_timeout(FINISH_LIMIT) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => Err(stalled()),
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
        }
    }
}

impl Write for Detached {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(pieces) = &self.pieces else { return Err(ended()) };
        match pieces.try_send(bytes.to_vec()) {
            Ok(()) => Ok(bytes.len()),
            Err(TrySendError::Full(_)) => Err(stalled()),
            Err(TrySendError::Disconnected(_)) => {
                self.finish()?;
                Err(ended())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stalled() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "its reader takes nothing; what was left is lost")
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "its writer has ended")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_written_arrives() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut stream = Detached::over(writer).unwrap();
        let reading = thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        stream.write_all(b"one ").unwrap();
        stream.write_all(b"two").unwrap();
        stream.finish().unwrap();
        assert_eq!(reading.join().unwrap(), "one two");
    }

    #[test]
    fn a_reader_that_takes_nothing_holds_nobody() {
        let (_reader, writer) = io::pipe().unwrap();
        let mut stream = Detached::over(writer).unwrap();
        // More than the pipe takes (64 KiB) and than may wait.
        let piece = vec![0; 1 << 10];
        let outcome = (0..MAX_WAITING + 100).try_for_each(|_| stream.write_all(&piece));
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(stream.finish().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn what_is_wrong_with_the_stream_is_told() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut stream = Detached::over(full).unwrap();
        stream.write_all(b"lost").unwrap();
        assert_eq!(stream.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
