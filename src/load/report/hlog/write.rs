//! Writes a log.

use std::io::{self, Write};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use serde::Serialize;

use super::note::{ResultNote, RunNote};
use super::{FAILED, INCOMPLETE, Logged, RESULT, RUN};

/// The column of the longest latency is for people, by custom in milliseconds.
const NS_PER_MS: f64 = 1e6;

/// Writes a log, interval by interval.
pub struct Writer<W> {
    out: W,
    serializer: V2DeflateSerializer,
    /// The time that intervals count from: the beginning of the first.
    base: Option<SystemTime>,
    binary: Vec<u8>,
    line: String,
}

impl<W: Write> Writer<W> {
    /// A log that is written to `out`, which nothing is written to yet.
    pub fn new(out: W) -> Self {
        Self {
            out,
            serializer: V2DeflateSerializer::new(),
            base: None,
            binary: Vec::new(),
            line: String::new(),
        }
    }

    /// Writes one interval, at once; before the first the header, with its time as the log's start.
    ///
    /// # Errors
    ///
    /// When `out` does not take it.
    pub fn write(&mut self, interval: &Logged<'_>) -> io::Result<()> {
        let Logged { tag, start, duration, values } = *interval;
        self.line.clear();
        let base = *self.base.get_or_insert_with(|| {
            self.line.push_str(&header(start));
            start
        });
        self.binary.clear();
        self.serializer
            .serialize(values, &mut self.binary)
            .map_err(|error| io::Error::other(format!("a histogram cannot be encoded: {error}")))?;
        if let Some(tag) = tag {
            self.line.extend(["Tag=", tag, ","]);
        }
        self.line.push_str(&format!(
            "{:.3},{:.3},{:.3},",
            start.duration_since(base).unwrap_or_default().as_secs_f64(),
            duration.as_secs_f64(),
            values.max() as f64 / NS_PER_MS,
        ));
        BASE64.encode_string(&self.binary, &mut self.line);
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes())
    }

    /// Notes, for [`Log`](super::Log) and people, why the log is not all that was planned.
    ///
    /// # Errors
    ///
    /// When `out` does not take it.
    pub fn write_incomplete(&mut self, why: &str) -> io::Result<()> {
        writeln!(self.out, "{INCOMPLETE}{why}]")
    }

    /// Notes why there is nothing in the log.
    ///
    /// # Errors
    ///
    /// When `out` does not take it.
    pub fn write_failed(&mut self, why: &str) -> io::Result<()> {
        writeln!(self.out, "{FAILED}{why}]")
    }

    /// Notes which run is about to be logged.
    ///
    /// # Errors
    ///
    /// When `out` does not take it.
    pub fn write_run(&mut self, note: &RunNote) -> io::Result<()> {
        self.write_note(RUN, note)
    }

    /// Notes how that came out.
    ///
    /// # Errors
    ///
    /// When `out` does not take it.
    pub fn write_result(&mut self, note: &ResultNote) -> io::Result<()> {
        self.write_note(RESULT, note)
    }

    fn write_note(&mut self, start: &str, note: &impl Serialize) -> io::Result<()> {
        let json = serde_json::to_string(note).expect("notes hold strings and numbers only");
        // At once: what is cut off is not read.
        self.out.write_all(format!("{start}{json}]\n").as_bytes())
    }

    /// The writer's target.
    pub fn target(&self) -> &W {
        &self.out
    }

    /// The writer's target.
    pub fn into_inner(self) -> W {
        self.out
    }
}

fn header(start: SystemTime) -> String {
    let start = start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!(
        "#[Logged with ringback-load {}; values in nanoseconds, Interval_Max in milliseconds]\n\
         #[Histogram log format version 1.3]\n\
         #[StartTime: {seconds:.3} (seconds since epoch)]\n\
         #[BaseTime: {seconds:.3} (seconds since epoch)]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\
         \"Interval_Compressed_Histogram\"\n",
        env!("CARGO_PKG_VERSION"),
        seconds = start.as_secs_f64(),
    )
}
