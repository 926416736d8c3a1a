//! Lengths of messages as they are written: `64`, `64..1024`, `64:90,4096:10`.

use std::str::FromStr;

use super::{Sizes, SizesError};
use crate::units::{UnitError, parse_count, parse_size};

/// Why a text does not say how long messages are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizesTextError {
    /// A part of it is not a size.
    #[error("{text:?} is not a size: {source}")]
    Size {
        /// The part.
        text: String,
        /// Why not.
        source: UnitError,
    },
    /// A weight is not a number.
    #[error("{text:?} is not a weight: {source}")]
    Weight {
        /// The weight.
        text: String,
        /// Why not.
        source: UnitError,
    },
    /// A list has a size without a weight.
    #[error("{text:?} has no weight: write one after each size, as in 64:90,4096:10")]
    NoWeight {
        /// The size.
        text: String,
    },
    /// They are sizes, but not possible ones.
    #[error(transparent)]
    NotPossible(#[from] SizesError),
}

impl FromStr for Sizes {
    type Err = SizesTextError;

    /// Reads one size, a range of sizes with both ends (`64..1KiB`), or sizes with weights
    /// (`64:90,4KiB:10`).
    ///
    /// # Errors
    ///
    /// Names the part that is wrong, and what would be right.
    fn from_str(text: &str) -> Result<Self, SizesTextError> {
        if text.contains([',', ':']) {
            let choices: Vec<_> = text.split(',').map(parse_choice).collect::<Result<_, _>>()?;
            return Ok(Self::weighted(&choices)?);
        }
        match text.split_once("..") {
            None => Ok(Self::fixed(parse_bytes(text)?)?),
            Some((least, most)) => Ok(Self::range(parse_bytes(least)?, parse_bytes(most)?)?),
        }
    }
}

fn parse_choice(text: &str) -> Result<(usize, u64), SizesTextError> {
    let Some((size, weight)) = text.split_once(':') else {
        return Err(SizesTextError::NoWeight { text: text.to_owned() });
    };
    let weight = parse_count(weight)
        .map_err(|source| SizesTextError::Weight { text: weight.to_owned(), source })?;
    Ok((parse_bytes(size)?, weight))
}

fn parse_bytes(text: &str) -> Result<usize, SizesTextError> {
    let bytes = parse_size(text)
        .map_err(|source| SizesTextError::Size { text: text.to_owned(), source })?;
    // Far beyond the bounds either way.
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        let cases = [
            ("64", "64"),
            ("64KiB", "65536"),
            ("64..1024", "64..1024"),
            ("1KiB..64KiB", "1024..65536"),
            ("1 KiB .. 1.5 KiB", "1024..1536"),
            ("64:90,4096:10", "64:90,4096:10"),
            ("64:9k, 4KiB:1k", "64:9000,4096:1000"),
            ("64:1", "64:1"),
        ];
        for (text, meant) in cases {
            assert_eq!(text.parse::<Sizes>().unwrap().to_string(), meant, "{text}");
        }
    }

    #[test]
    fn errors_name_the_part_and_the_fix() {
        let cases = [
            ("", "\"\" is not a size: it must begin with a number: write 64KiB"),
            ("0", "a message of 0 bytes is not possible: use 1 byte to 16 MiB"),
            ("1..17MiB", "a message of 17825792 bytes is not possible: use 1 byte to 16 MiB"),
            ("64..", "\"\" is not a size: it must begin with a number: write 64KiB"),
            ("64..=128", "\"=128\" is not a size: it must begin with a number: write 64KiB"),
            ("128..64", "the range ends before it begins: write 64..128"),
            ("64,128", "\"64\" has no weight: write one after each size, as in 64:90,4096:10"),
            ("64:1,", "\"\" has no weight: write one after each size, as in 64:90,4096:10"),
            ("64:x", "\"x\" is not a weight: it must begin with a number: write 10k"),
            ("64:0,4:1", "the weight of size 64 is 0: leave it out, or use 1 or more"),
            (
                "64:0.5",
                "\"0.5\" is not a weight: it is not a whole number of ones: write fewer decimals",
            ),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Sizes>().unwrap_err().to_string(), error, "{text}");
        }
    }
}
