//! The share of a run that one of several generators makes.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::load::error::ConfigError;
use crate::units::{format_count, parse_count};

/// Generators that one run can have: as many as an Indexed Job of Kubernetes has pods.
const MAX_PARTS: usize = 100_000;

/// One of the generators that make a run together, each of which is given the whole run's
/// configuration.
///
/// Connections are dealt to the parts in turn, and messages to the connections, so the parts'
/// shares add up to the run exactly.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Part {
    /// Its number, from 0.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

impl Part {
    /// All of a run.
    pub(crate) const WHOLE: Self = Self { index: 0, of: 1 };

    /// Part number `index` of `of`, from 0.
    ///
    /// # Errors
    ///
    /// When there is no such part, or there would be more than 100,000.
    pub fn new(index: usize, of: usize) -> Result<Self, ConfigError> {
        if !(1..=MAX_PARTS).contains(&of) {
            let most = format_count(MAX_PARTS as u64);
            return Err(ConfigError(format!("{of} parts are not possible: use 1 to {most}")));
        }
        if index >= of {
            let last = of - 1;
            return Err(ConfigError(format!(
                "there is no part {index} of {of}: they count from 0 to {last}"
            )));
        }
        Ok(Self { index, of })
    }

    /// This part of so many connections.
    pub(crate) fn share(self, connections: usize) -> usize {
        connections / self.of + usize::from(self.index < connections % self.of)
    }

    /// The number in the run of the connection that has this number in its part.
    pub(crate) fn number_in_run(self, number: usize) -> usize {
        number * self.of + self.index
    }
}

/// As on the command line.
impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.index, self.of)
    }
}

/// Reads `0/3`, the first of three.
impl FromStr for Part {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let number = |text: &str| usize::try_from(parse_count(text).ok()?).ok();
        let numbers =
            text.split_once('/').and_then(|(index, of)| Some((number(index)?, number(of)?)));
        let (index, of) = numbers.ok_or_else(|| {
            ConfigError("it is the number of a part and how many there are, as in 0/3".to_owned())
        })?;
        Self::new(index, of)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_connection_is_of_one_part(connections in 1_usize..500, of in 1_usize..50) {
            let parts = (0..of).map(|index| Part { index, of });
            let mut numbers: Vec<usize> = parts
                .flat_map(|part| {
                    (0..part.share(connections)).map(move |number| part.number_in_run(number))
                })
                .collect();
            numbers.sort_unstable();
            prop_assert!(numbers.into_iter().eq(0..connections));
        }
    }

    #[test]
    fn parts_are_read_as_they_are_written() {
        for text in ["0/1", "0/3", "2/3", "99999/100000"] {
            assert_eq!(text.parse::<Part>().unwrap().to_string(), text);
        }
        for (text, words) in [
            ("3/3", "there is no part 3 of 3: they count from 0 to 2"),
            ("0/0", "0 parts are not possible: use 1 to 100k"),
            ("0/100001", "100001 parts are not possible"),
            ("1", "as in 0/3"),
            ("a/b", "as in 0/3"),
            ("/", "as in 0/3"),
            ("-1/3", "as in 0/3"),
        ] {
            let error = text.parse::<Part>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
