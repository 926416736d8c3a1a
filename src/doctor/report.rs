//! A diagnosis for people and for programs.

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

    fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }
}

/// A line for each check, and below it what mends it; then the sum of it all.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
        for Check { name, status, found, fix } in &self.checks {
            writeln!(f, "{status:4}  {name:width$}  {found}")?;
            if let Some(fix) = fix {
                writeln!(f, "      {:width$}  fix: {fix}", "")?;
            }
        }
        let (warnings, failures) = (self.count(Status::Warn), self.count(Status::Fail));
        let tally = format!("{} ok, {warnings} warn, {failures} fail", self.count(Status::Ok));
        if self.is_ok() {
            writeln!(f, "\nringback can serve here, by the {} driver: {tally}", self.driver)
        } else {
            writeln!(f, "\nringback cannot serve here: {tally}")
        }
    }
}
