//! A diagnosis for people and for programs.

use std::cmp::Reverse;
use std::fmt;

use serde::Serialize;

use super::{Check, Diagnosis, Status};

/// The form of the document; a field more keeps it, a field less or another meaning changes it.
const SCHEMA: &str = "ringback-doctor/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    ok: bool,
    driver: Option<&'static str>,
    checks: &'a [Check],
}

impl Diagnosis {
    /// One JSON document, with a line end.
    pub fn to_json(&self) -> String {
        let document = Document {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            ok: self.is_ok(),
            driver: self.is_ok().then(|| self.driver.name()),
            checks: &self.checks,
        };
        let mut text = serde_json::to_string_pretty(&document)
            .expect("texts and flags can always be written as JSON");
        text.push('\n');
        text
    }

    /// Checks that are not ok, the gravest first, and the sum of it all; `everything` adds the others.
    pub fn to_text(&self, everything: bool) -> String {
        let is_shown = |check: &&Check| everything || check.status != Status::Ok;
        let mut shown: Vec<&Check> = self.checks.iter().filter(is_shown).collect();
        shown.sort_by_key(|check| Reverse(check.status));
        let width = shown.iter().map(|check| check.name.len()).max().unwrap_or(0);
        let mut text: String = shown.iter().map(|check| lines(check, width)).collect();
        if !text.is_empty() {
            text.push('\n');
        }
        let (warnings, failures) = (self.count(Status::Warn), self.count(Status::Fail));
        let tally = format!("{} ok, {warnings} warn, {failures} fail", self.count(Status::Ok));
        let all = if everything { "" } else { " (all: -v)" };
        text += &match self.is_ok() {
            true => {
                format!("ringback can serve here, by the {} driver: {tally}{all}\n", self.driver)
            }
            false => format!("ringback cannot serve here: {tally}{all}\n"),
        };
        text
    }

    fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }
}

/// Every check.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(true))
    }
}

/// Lines of a check, and below it what mends it.
fn lines(Check { name, status, found, fix }: &Check, width: usize) -> String {
    let fix = fix.as_ref().map(|fix| format!("      {:width$}  fix: {fix}\n", ""));
    format!("{status:4}  {name:width$}  {found}\n{}", fix.unwrap_or_default())
}
