//! The signals that ask a program to end, as both programs take them.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::sys;

const ENDING: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];
/// A signal that comes again sooner was sent once: `timeout(1)` signals its child, and then the
/// group that the child is in.
const REPEAT_INTERVAL: Duration = Duration::from_millis(100);

/// SIGHUP, SIGINT and SIGTERM, from when they are caught.
#[derive(Debug)]
pub struct EndSignals(Signals);

impl EndSignals {
    /// Catches the signals, so that they wait for [`watch`](Self::watch) instead of killing the
    /// process, even where they were blocked when the program started. Those that were ignored then
    /// stay ignored (`nohup`, a shell's background job).
    ///
    /// So are those that the program asks for in addition.
    ///
    /// SIGXFSZ is caught as well: a log at its size limit is an error of the write. (Ignored, it
    /// would be so in the programs that this one starts.)
    ///
    /// # Errors
    ///
    /// When the handlers cannot be had.
    pub fn catch(more: &[i32]) -> io::Result<Self> {
        let mut caught = Vec::new();
        for &signal in ENDING.iter().chain(more) {
            if !sys::signal::is_ignored(signal)? {
                caught.push(signal);
            }
        }
        let signals = Signals::new(caught.iter().chain([&SIGXFSZ]))?;
        sys::signal::unblock(&caught)?;
        Ok(Self(signals))
    }

    /// Calls back for every signal, on a thread of its own, whenever it arrived.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub fn watch(mut self, mut on_signal: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
        let mut requests = Requests::default();
        let body = move || {
            for signal in self.0.forever() {
                if signal != SIGXFSZ && requests.is_new(signal, Instant::now()) {
                    on_signal(signal);
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(body).map(drop)
    }

    /// Lets the signals do what they do to any program.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub fn leave(self) -> io::Result<()> {
        self.watch(|signal| {
            // The three that there are have a default.
            let _ = emulate_default_handler(signal);
        })
    }
}

/// Tells the requests of people from the signals that carry them.
#[derive(Debug, Default)]
struct Requests {
    last: Option<(i32, Instant)>,
}

impl Requests {
    /// Returns whether a signal that arrives now is a new one, not the last one repeated.
    fn is_new(&mut self, signal: i32, now: Instant) -> bool {
        let is_repeated = self.last.is_some_and(|(last, time)| {
            last == signal && now.saturating_duration_since(time) < REPEAT_INTERVAL
        });
        if !is_repeated {
            self.last = Some((signal, now));
        }
        !is_repeated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_signal_at_once_is_one_request_and_another_or_a_later_one_is_two() {
        let start = Instant::now();
        let mut requests = Requests::default();
        let mut is_new = |signal, ms| requests.is_new(signal, start + Duration::from_millis(ms));
        assert!(is_new(SIGTERM, 0));
        assert!(!is_new(SIGTERM, 0) && !is_new(SIGTERM, 60));
        // It counts from the request, not from the last signal.
        assert!(is_new(SIGTERM, 100));
        assert!(is_new(SIGINT, 101));
        assert!(!is_new(SIGINT, 200));
        assert!(is_new(SIGINT, 201));
    }
}
