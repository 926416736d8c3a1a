//! How a line looks: for people, for machines, for the journal.

use std::fmt::{self, Write};
use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing::Level;

/// Format of lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// The message, for people.
    #[default]
    Text,
    /// An object a line: `ts`, `level`, `msg` and what belongs to the message.
    Json,
}

/// Traits that every line of a program shares.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    /// Name of the program, before its errors.
    pub(super) program: &'static str,
    pub(super) format: Format,
    /// True if standard error is the journal: it takes the level from the line's beginning and has a
    /// time of its own (`sd-daemon(3)`).
    pub(super) is_journal: bool,
}

/// Message and fields of an event.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) message: String,
    pub(super) fields: Map<String, Value>,
}

impl Style {
    /// The lines of a record, each ended.
    pub(super) fn render(self, level: Level, record: Record) -> String {
        let text = match self.format {
            Format::Text => self.text(level, &record.message),
            Format::Json => self.json(level, record),
        };
        let mut lines = String::with_capacity(text.len() + 4);
        for line in text.lines() {
            if self.is_journal {
                write!(lines, "<{}>", severity(level)).expect("a string takes all");
            }
            lines.push_str(line);
            lines.push('\n');
        }
        lines
    }

    fn text(self, level: Level, message: &str) -> String {
        match level {
            Level::ERROR => format!("{}: {message}", self.program),
            Level::WARN => format!("warning: {message}"),
            Level::INFO => message.to_owned(),
            _ => format!("debug: {message}"),
        }
    }

    fn json(self, level: Level, record: Record) -> String {
        let mut object = Map::new();
        if !self.is_journal {
            let now = humantime::format_rfc3339_micros(SystemTime::now());
            object.insert("ts".to_owned(), now.to_string().into());
        }
        object.insert("level".to_owned(), level.as_str().to_ascii_lowercase().into());
        object.insert("msg".to_owned(), record.message.into());
        object.extend(record.fields);
        Value::Object(object).to_string()
    }
}

/// The level in numbers of `syslog(3)`.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

impl tracing::field::Visit for Record {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        self.take(field, text.into());
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.take(field, value.into());
    }

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.take(field, value.into());
    }

    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.take(field, value.into());
    }

    fn record_f64(&mut self, field: &tracing::field::Field, value: f64) {
        self.take(field, value.into());
    }

    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.take(field, value.into());
    }
}

impl Record {
    fn take(&mut self, field: &tracing::field::Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Style = Style { program: "ringback", format: Format::Text, is_journal: false };

    fn record(message: &str) -> Record {
        let fields = Map::from_iter([("worker".to_owned(), Value::from(3))]);
        Record { message: message.to_owned(), fields }
    }

    #[test]
    fn text_is_the_message_after_its_level() {
        for (level, expected) in [
            (Level::ERROR, "ringback: gone\n"),
            (Level::WARN, "warning: gone\n"),
            (Level::INFO, "gone\n"),
            (Level::DEBUG, "debug: gone\n"),
        ] {
            assert_eq!(TEXT.render(level, record("gone")), expected);
        }
    }

    #[test]
    fn json_is_one_object_a_line_with_the_time_and_the_fields() {
        let line = Style { format: Format::Json, ..TEXT }.render(Level::WARN, record("a\n\"b\""));
        assert_eq!(line.lines().count(), 1);
        let object: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(object["level"], "warn");
        assert_eq!(object["msg"], "a\n\"b\"");
        assert_eq!(object["worker"], 3);
        let time = object["ts"].as_str().expect("a time");
        assert!(humantime::parse_rfc3339(time).is_ok(), "{time}");
    }

    #[test]
    fn the_journal_is_told_the_level_of_every_line_and_no_time() {
        let journal = Style { is_journal: true, ..TEXT };
        assert_eq!(journal.render(Level::INFO, record("one\ntwo")), "<6>one\n<6>two\n");
        let json = Style { format: Format::Json, ..journal }.render(Level::ERROR, record("x"));
        assert_eq!(json, "<3>{\"level\":\"error\",\"msg\":\"x\",\"worker\":3}\n");
    }
}
