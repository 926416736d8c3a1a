//! Files from elsewhere: logs of histograms and JSON reports, whole or damaged.

use crate::load::draw;
use crate::load::report::hlog::{Log, ResultNote, Writer, merge};
use crate::load::report::{Merged, json};

/// Reads logs and adds them up: what can be merged can be reported, and what is written of it is a
/// log with the same samples.
///
/// # Panics
///
/// When it is not.
pub fn check_logs<'a>(logs: impl Iterator<Item = &'a [u8]>) {
    let Ok(logs) = logs.map(Log::read).collect::<Result<Vec<_>, _>>() else { return };
    let Some((merged, written)) = write_merged(&logs) else { return };
    assert!(!merged.to_string().is_empty() && json(&merged).ends_with("}\n"));
    let read = Log::read(&written).expect("what is written is a log");
    let (again, _) = write_merged(&[read]).expect("what was merged can be merged");
    assert_eq!(samples(&merged), samples(&again));
    assert_eq!(merged.totals, again.totals);
}

/// The sum of logs, and what is written of it; nothing where there is an error. A count above 2^63 can
/// be added up and not be written.
fn write_merged(logs: &[Log]) -> Option<(Merged, Vec<u8>)> {
    let mut writer = Writer::new(Vec::new());
    let mut written = Ok(());
    let merged = merge(logs, &mut |interval| {
        if written.is_ok() {
            written = writer.write(interval);
        }
    });
    written.ok()?;
    let merged = merged.ok()?;
    writer.write_result(&ResultNote::from(&merged)).expect("memory takes all");
    Some((merged, writer.into_inner()))
}

/// The samples of each tag.
fn samples(merged: &Merged) -> Vec<(Option<&str>, u64)> {
    merged.latency.iter().map(|(tag, sum)| (tag.as_deref(), sum.len())).collect()
}

/// Reads a saved result of whatever form, and draws it beside itself.
///
/// # Panics
///
/// When what can be read cannot be drawn.
pub fn check_result(saved: &[u8]) {
    let Ok(saved) = draw::read(saved) else { return };
    let two = vec![("one".to_owned(), saved.clone()), ("other".to_owned(), saved)];
    let picture = draw::picture(two).expect("they are of one kind");
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
}
