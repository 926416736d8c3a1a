//! Parts that are merged are parts of one run: whatever decides the load is the same in all.
//!
//! Nothing coordinates generators. They are of one run if they were given the same load, number of
//! parts and time to start at, which one launcher gives them; what suits each host (threads, CPUs,
//! sources) may differ.

use std::time::Duration;

use super::note::RunNote;
use super::read::Log;
use super::run::runs_of;
use crate::load::config::Arrival;
use crate::load::config::part::Part;
use crate::load::format::printable;
use crate::load::report::document::Settings;
use crate::units::{format_count, format_duration};

/// An option by its name, and its value as it is written.
type Shared = (&'static str, fn(&Settings) -> String);

/// Options that decide the load, which parts of one run have in common.
const SHARED: [Shared; 13] = [
    ("the number of parts", |config| config.part.map_or(0, |part| part.of).to_string()),
    ("--start-at", |config| or_none(config.start_at.clone())),
    ("--rate", |config| or_none(config.rate_per_s.map(format_count))),
    ("--arrival", |config| or_none(config.arrival.map(Arrival::name))),
    ("--connections", |config| format_count(config.connections as u64)),
    ("--depth", |config| format_count(config.depth as u64)),
    ("--reconnect", |config| or_none(config.reconnect.map(format_count))),
    ("--size", |config| config.sizes.clone()),
    ("--protocol", |config| config.protocol.name().to_owned()),
    ("--warmup", |config| time(config.warmup_ns)),
    ("--duration", |config| time(config.duration_ns)),
    ("--timeout", |config| time(config.timeout_ns)),
    ("--seed", |config| config.seed.to_string()),
];

fn or_none(value: Option<impl Into<String>>) -> String {
    value.map_or_else(|| "none".to_owned(), Into::into)
}

fn time(ns: u64) -> String {
    format_duration(Duration::from_nanos(ns))
}

/// Checks that these logs are parts of one run, or none is a part.
///
/// # Errors
///
/// Names what differs, in words.
pub fn check_one_run(logs: &[Log]) -> Result<(), String> {
    let parts: Vec<(&str, Part, &RunNote)> = runs_of(logs)
        .filter_map(|(log, run)| Some((log, run.part()?, run.note.as_ref()?)))
        .collect();
    let Some(first) = parts.first() else { return Ok(()) };
    if let Some((other, _)) = runs_of(logs).find(|(_, run)| run.part().is_none()) {
        return Err(format!(
            "{} is of part {}, and {other} of no part: merge the parts of a run on their own",
            first.0, first.1,
        ));
    }
    parts[1..].iter().try_for_each(|other| check_same(first, other))
}

fn check_same(
    (log, part, note): &(&str, Part, &RunNote),
    (other_log, other_part, other_note): &(&str, Part, &RunNote),
) -> Result<(), String> {
    let target = ("TARGET", note.target.clone(), other_note.target.clone());
    let of_config =
        SHARED.iter().map(|(name, value)| (*name, value(&note.config), value(&other_note.config)));
    let difference = of_config.chain([target]).find(|(_, one, other)| one != other);
    let Some((name, one, other)) = difference else { return Ok(()) };
    let (one, other) = (printable(&one), printable(&other));
    Err(format!(
        "{log} (part {part}) and {other_log} (part {other_part}) are not of one run: {name} is \
         {one} in the one and {other} in the other; give all parts the same, and merge those of \
         one run",
    ))
}
