//! How long messages are: always the same, any length of a range, or one of several by weight.
//!
//! A description and the draw from it. The seed and the number of the connection decide what a
//! connection draws, whatever the others do.

use std::fmt;
use std::str::FromStr;

use super::MAX_MESSAGE_SIZE;
use crate::load::error::ConfigError;
use crate::load::format;
use crate::load::random::SplitMix64;
use crate::units::{parse_count, parse_size};

/// Lengths of messages' payloads in bytes, each 1 to [`MAX_MESSAGE_SIZE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Fixed(usize),
    /// Both ends belong to it, and every length is as likely as any other.
    Range {
        least: usize,
        most: usize,
    },
    /// Not empty.
    Weighted(Box<[Choice]>),
}

/// A length that is drawn in `weight` of so many cases as all weights are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Choice {
    bytes: usize,
    weight: u64,
    /// The weights up to this one, itself included.
    weight_so_far: u64,
}

impl Sizes {
    /// All messages have this length.
    ///
    /// # Errors
    ///
    /// When it is out of bounds.
    pub fn fixed(bytes: usize) -> Result<Self, ConfigError> {
        in_bounds(bytes).map(Kind::Fixed).map(Self)
    }

    /// Any length from `least` to `most`, both included, is as likely as any other.
    ///
    /// # Errors
    ///
    /// When one is out of bounds or the range is empty.
    pub fn range(least: usize, most: usize) -> Result<Self, ConfigError> {
        let (least, most) = (in_bounds(least)?, in_bounds(most)?);
        if most < least {
            return Err(ConfigError(format!(
                "the range ends before it begins: write {most}..{least}"
            )));
        }
        Ok(Self(Kind::Range { least, most }))
    }

    /// One of these lengths, each in as many cases as its weight says.
    ///
    /// # Errors
    ///
    /// When there is none, a length is out of bounds, or a weight is 0 or too large.
    pub fn weighted(choices: &[(usize, u64)]) -> Result<Self, ConfigError> {
        let mut weight_so_far: u64 = 0;
        let mut checked = Vec::with_capacity(choices.len());
        for &(bytes, weight) in choices {
            let bytes = in_bounds(bytes)?;
            if weight == 0 {
                return Err(ConfigError(format!(
                    "the weight of size {bytes} is 0: leave it out, or use 1 or more"
                )));
            }
            weight_so_far = weight_so_far.checked_add(weight).ok_or_else(|| {
                let why = "the weights are too large: use smaller ones of the same proportion";
                ConfigError(why.to_owned())
            })?;
            checked.push(Choice { bytes, weight, weight_so_far });
        }
        if checked.is_empty() {
            return Err(ConfigError("there is no size to choose from".to_owned()));
        }
        Ok(Self(Kind::Weighted(checked.into_boxed_slice())))
    }

    /// The longest of them.
    pub fn largest(&self) -> usize {
        match &self.0 {
            Kind::Fixed(bytes) => *bytes,
            Kind::Range { most, .. } => *most,
            Kind::Weighted(choices) => {
                choices.iter().map(|choice| choice.bytes).max().expect("there is a choice")
            }
        }
    }

    /// The only one of them, unless there are several.
    pub fn only(&self) -> Option<usize> {
        match &self.0 {
            Kind::Fixed(bytes) => Some(*bytes),
            Kind::Range { least, most } => (least == most).then_some(*least),
            Kind::Weighted(choices) => {
                let first = choices[0].bytes;
                choices.iter().all(|choice| choice.bytes == first).then_some(first)
            }
        }
    }

    fn draw(&self, random: &mut SplitMix64) -> usize {
        match &self.0 {
            Kind::Fixed(bytes) => *bytes,
            Kind::Range { least, most } => least + random.below((most - least) as u64 + 1) as usize,
            Kind::Weighted(choices) => {
                let all = choices[choices.len() - 1].weight_so_far;
                let place = random.below(all);
                choices[choices.partition_point(|choice| choice.weight_so_far <= place)].bytes
            }
        }
    }
}

/// As on the command line, in bytes: `64`, `64..1024`, `64:90,4096:10`.
impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Fixed(bytes) => write!(f, "{bytes}"),
            Kind::Range { least, most } => write!(f, "{least}..{most}"),
            Kind::Weighted(choices) => {
                for (place, Choice { bytes, weight, .. }) in choices.iter().enumerate() {
                    let comma = if place > 0 { "," } else { "" };
                    write!(f, "{comma}{bytes}:{weight}")?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for Sizes {
    type Err = ConfigError;

    /// Reads one size, a range of sizes with both ends (`64..1KiB`), or sizes with weights
    /// (`64:90,4KiB:10`).
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if text.contains([',', ':']) {
            let choices: Vec<_> = text.split(',').map(parse_choice).collect::<Result<_, _>>()?;
            return Self::weighted(&choices);
        }
        match text.split_once("..") {
            None => Self::fixed(parse_bytes(text)?),
            Some((least, most)) => Self::range(parse_bytes(least)?, parse_bytes(most)?),
        }
    }
}

fn parse_choice(text: &str) -> Result<(usize, u64), ConfigError> {
    let Some((size, weight)) = text.split_once(':') else {
        return Err(ConfigError(format!(
            "{text:?} has no weight: write one after each size, as in 64:90,4096:10"
        )));
    };
    let weight = parse_count(weight)
        .map_err(|why| ConfigError(format!("{weight:?} is not a weight: {why}")))?;
    Ok((parse_bytes(size)?, weight))
}

fn parse_bytes(text: &str) -> Result<usize, ConfigError> {
    if let Some((least, most)) = text.split_once('-')
        && let (Ok(_), Ok(_)) = (parse_size(least), parse_size(most))
    {
        return Err(ConfigError(format!("{text:?} is not a size: a range is {least}..{most}")));
    }
    let bytes =
        parse_size(text).map_err(|why| ConfigError(format!("{text:?} is not a size: {why}")))?;
    // Far beyond the bounds either way.
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// The lengths of one connection's messages, in their order.
#[derive(Debug, Clone)]
pub(crate) struct SizeDraw(SplitMix64);

impl SizeDraw {
    pub(crate) fn new(seed: u64, connection: usize) -> Self {
        // The seed is mixed first, or seed 5 of connection 2 would be seed 2 of connection 5.
        Self(SplitMix64::new(SplitMix64::new(seed).next() ^ connection as u64))
    }

    pub(crate) fn next(&mut self, sizes: &Sizes) -> usize {
        sizes.draw(&mut self.0)
    }
}

fn in_bounds(bytes: usize) -> Result<usize, ConfigError> {
    if (1..=MAX_MESSAGE_SIZE).contains(&bytes) {
        Ok(bytes)
    } else {
        let size = format::bytes(bytes as f64);
        let why = format!("a message of {size} is not possible: use 1 byte to 16MiB");
        Err(ConfigError(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(sizes: &Sizes, seed: u64, connection: usize, count: usize) -> Vec<usize> {
        let mut draw = SizeDraw::new(seed, connection);
        (0..count).map(|_| draw.next(sizes)).collect()
    }

    #[test]
    fn a_range_is_even_and_has_both_ends() {
        let sizes = Sizes::range(3, 6).unwrap();
        let drawn = drawn(&sizes, 1, 0, 40_000);
        for size in 3..=6 {
            let share = drawn.iter().filter(|drawn| **drawn == size).count();
            assert!((9_500..10_500).contains(&share), "{share} of 40,000 are {size}");
        }
        assert!(drawn.iter().all(|size| (3..=6).contains(size)));
        assert_eq!((sizes.largest(), sizes.only()), (6, None));
        let whole = Sizes::range(1, MAX_MESSAGE_SIZE).unwrap();
        assert!(self::drawn(&whole, 9, 1, 1000).iter().all(|size| in_bounds(*size).is_ok()));
    }

    #[test]
    fn weights_are_shares_of_all_weights() {
        let sizes = Sizes::weighted(&[(64, 90), (4096, 10)]).unwrap();
        let drawn = drawn(&sizes, 7, 3, 100_000);
        let large = drawn.iter().filter(|size| **size == 4096).count();
        assert!((9_500..10_500).contains(&large), "{large} of 100,000");
        assert!(drawn.iter().all(|size| [64, 4096].contains(size)));
        let heavy = Sizes::weighted(&[(1, u64::MAX - 1), (2, 1)]).unwrap();
        assert_eq!(self::drawn(&heavy, 1, 1, 100), vec![1; 100]);
    }

    #[test]
    fn the_seed_and_the_connection_decide() {
        let sizes = Sizes::range(1, 1_000_000).unwrap();
        assert_eq!(drawn(&sizes, 5, 2, 50), drawn(&sizes, 5, 2, 50));
        assert_ne!(drawn(&sizes, 5, 2, 50), drawn(&sizes, 6, 2, 50));
        assert_ne!(drawn(&sizes, 5, 2, 50), drawn(&sizes, 5, 3, 50));
        assert_ne!(drawn(&sizes, 5, 2, 50), drawn(&sizes, 2, 5, 50));
    }

    #[test]
    fn one_size_in_other_words_is_fixed() {
        let same = [Sizes::fixed(8), Sizes::range(8, 8), Sizes::weighted(&[(8, 3), (8, 1)])];
        for sizes in same.map(Result::unwrap) {
            assert_eq!((sizes.only(), sizes.largest()), (Some(8), 8), "{sizes}");
            assert_eq!(drawn(&sizes, 1, 1, 3), [8, 8, 8]);
        }
        assert_eq!(Sizes::weighted(&[(8, 3), (9, 1)]).unwrap().only(), None);
    }

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
            ("0", "a message of 0 B is not possible: use 1 byte to 16MiB"),
            ("1..17MiB", "a message of 17.0 MiB is not possible: use 1 byte to 16MiB"),
            ("64-128", "\"64-128\" is not a size: a range is 64..128"),
            ("64..", "\"\" is not a size: it must begin with a number: write 64KiB"),
            ("64..=128", "\"=128\" is not a size: it must begin with a number: write 64KiB"),
            ("128..64", "the range ends before it begins: write 64..128"),
            ("64,128", "\"64\" has no weight: write one after each size, as in 64:90,4096:10"),
            ("64:1,", "\"\" has no weight: write one after each size, as in 64:90,4096:10"),
            ("64:x", "\"x\" is not a weight: it must begin with a number: write 10k"),
            (
                "4:18446744073709551615,5:1",
                "the weights are too large: use smaller ones of the same proportion",
            ),
            ("64:0,4:1", "the weight of size 64 is 0: leave it out, or use 1 or more"),
            (
                "64:0.5",
                "\"0.5\" is not a weight: it is not a whole number of ones: write fewer decimals",
            ),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Sizes>().unwrap_err().to_string(), error, "{text}");
        }
        let none = Sizes::weighted(&[]).unwrap_err();
        assert_eq!(none.to_string(), "there is no size to choose from");
    }
}
