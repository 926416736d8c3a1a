//! Lines for the operator, on standard error.
//!
//! Nobody may read them: a pipe is full, a terminal is stopped with Ctrl-S. So no thread writes a
//! line itself, it queues it for a thread that does nothing else and may stand still for as long as
//! it takes. Standard error is not made non-blocking instead: its open file description is shared
//! with whoever started the program.
//!
//! The library says what it has to say through `tracing`, and prints nothing. A program that wants
//! the lines calls [`start`], which makes this module the subscriber.

mod journal;
mod queue;
mod style;
mod subscriber;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::Level;
use tracing::level_filters::LevelFilter;

use self::queue::Queue;
pub use self::style::Format;
use self::style::{Record, Style};
use self::subscriber::Subscriber;

/// How long the end of a program waits for lines to be written. Longer than a busy or throttled
/// host keeps a thread from running, so that only lines that nobody reads are lost.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

static LOG: OnceLock<Log> = OnceLock::new();

/// Lines of a program: which, and in what form.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Name of the program, before its errors.
    pub program: &'static str,
    /// Format of lines.
    pub format: Format,
    /// The least important lines that are written.
    pub level: LevelFilter,
}

impl Options {
    /// Lines worth knowing, for people.
    pub fn text(program: &'static str) -> Self {
        Self { program, format: Format::Text, level: LevelFilter::INFO }
    }
}

/// Queues text without ending the line.
pub(crate) fn write(text: String) {
    if let Some(log) = LOG.get() {
        log.push(text);
    }
}

/// Waits until everything is written, for at most half a second.
pub(crate) fn flush() {
    if let Some(log) = LOG.get() {
        log.flush(FLUSH_TIMEOUT);
    }
}

/// Lines that were dropped because nobody read them, or nobody could be given them.
pub fn dropped() -> u64 {
    LOG.get().map_or(0, |log| log.lock().queue.dropped_in_all())
}

/// Starts the thread that writes, and takes what the process says through `tracing`. From now on
/// panics are reported by it as well: they too must not wait for a reader.
///
/// # Errors
///
/// When there can be no thread.
///
/// # Panics
///
/// When the log was started before.
pub fn start(options: Options) -> io::Result<FlushOnDrop> {
    let Options { program, format, level } = options;
    let style = Style { program, format, is_journal: journal::is_stderr() };
    assert!(LOG.set(Log { style, ..Log::default() }).is_ok(), "the log is started once");
    let log = LOG.get().expect("it was set");
    thread::Builder::new().name("log".to_owned()).spawn(|| log.write_to(&mut io::stderr()))?;
    panic::set_hook(Box::new(report_panic));
    tracing::subscriber::set_global_default(Subscriber::new(log, level))
        .expect("nobody else subscribes in our programs");
    Ok(FlushOnDrop(()))
}

/// Dropped at the end of the program, it waits a moment for the last lines to be written.
#[derive(Debug)]
#[must_use = "the last lines are lost without it"]
pub struct FlushOnDrop(());

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        flush();
    }
}

/// As the standard library does, and flushed since the process may abort next.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let mut message = format!("thread '{}' {panic}", thread.name().unwrap_or("<unnamed>"));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        message += &format!("\n{backtrace}");
    }
    // Not through `tracing`: the panic may have been inside it.
    if let Some(log) = LOG.get() {
        log.record(Level::ERROR, Record { message, ..Record::default() });
    }
    flush();
}

#[derive(Debug, Default)]
struct Log {
    style: Style,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    is_writing: bool,
}

impl Log {
    fn record(&self, level: Level, record: Record) {
        self.push(self.style.render(level, record));
    }

    fn push(&self, text: String) {
        self.lock().queue.push(text);
        self.changed.notify_all();
    }

    fn flush(&self, timeout: Duration) {
        let is_busy = |state: &mut State| state.is_writing || !state.queue.is_empty();
        // A poisoned state is as good as any: nothing panics between two changes of it.
        let _ = self.changed.wait_timeout_while(self.lock(), timeout, is_busy);
    }

    /// Writes what is queued, for ever.
    fn write_to(&self, out: &mut dyn Write) {
        loop {
            let text = self.take();
            let result = out.write_all(text.as_bytes());
            let mut state = self.lock();
            state.is_writing = false;
            if result.is_err() {
                state.queue.handle_refused();
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// The next text, or the count of what was dropped; waits for one.
    fn take(&self) -> String {
        let mut state = self.lock();
        loop {
            if let Some(text) = state.queue.pop(|message| self.notice(message)) {
                state.is_writing = true;
                return text;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn notice(&self, message: String) -> String {
        self.style.render(Level::WARN, Record { message, ..Record::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::time::Instant;

    use super::*;

    fn leaked() -> &'static Log {
        Box::leak(Box::default())
    }

    #[test]
    fn what_is_queued_is_written_in_order_before_a_flush_returns() {
        let log = leaked();
        let (reader, mut writer) = io::pipe().expect("a pipe can be had");
        thread::spawn(move || log.write_to(&mut writer));
        (0..100).for_each(|number| log.push(format!("{number}\n")));
        log.flush(Duration::from_secs(60));
        let mut lines = BufReader::new(reader).lines();
        for number in 0..100 {
            let line = lines.next().expect("a line for each").expect("it is readable");
            assert_eq!(line, number.to_string());
        }
    }

    #[test]
    fn a_writer_that_stands_still_holds_nobody_up_and_says_later_what_was_dropped() {
        let log = leaked();
        let (reader, mut writer) = io::pipe().expect("a pipe can be had");
        // Longer than any pipe holds without a reader.
        log.push(format!("{}\n", "x".repeat(4 << 20)));
        thread::spawn(move || log.write_to(&mut writer));
        while !log.lock().is_writing {
            thread::yield_now();
        }
        (0..queue::MAX_TEXTS + 7).for_each(|number| log.push(format!("{number}\n")));
        let started = Instant::now();
        log.flush(Duration::from_millis(20));
        assert!(started.elapsed() >= Duration::from_millis(20), "it waited for what cannot be");
        let mut lines = BufReader::new(reader).lines().map(|line| line.expect("it is readable"));
        let last = lines.nth(queue::MAX_TEXTS).expect("as many as fit, after the first");
        assert_eq!(last, (queue::MAX_TEXTS - 1).to_string());
        let notice = lines.next().expect("what was dropped is told");
        assert!(notice.starts_with("warning: 7 log lines were dropped: standard error"));
    }
}
