//! Lists of rates, as they are written on command lines: `10k,20k,40k` or `10k..100k:10k`.

use crate::load::MAX_RATE;
use crate::units::{UnitError, format_count, parse_count, without_grouping};

/// More take too long and are not told apart in a picture.
const MAX_RATES: u64 = 200;

/// Named, or clap would take it for many values.
pub(super) type RateList = Vec<u64>;

/// Reads a list of rates and ranges, in ascending order, each once; the last rate of a range is in it
/// if a step leads there.
pub(super) fn parse_rates(text: &str) -> Result<RateList, String> {
    parse_list(text).map_err(|why| match without_grouping(text) {
        Some(meant) if parse_list(&meant).is_ok() => format!("commas part rates: write {meant}"),
        _ => why,
    })
}

fn parse_list(text: &str) -> Result<RateList, String> {
    let mut rates = Vec::new();
    for part in text.split(',') {
        match part.split_once("..") {
            None => rates.push(parse_rate(part)?),
            Some((first, rest)) => rates.extend(parse_range(part, first, rest)?),
        }
    }
    rates.sort_unstable();
    rates.dedup();
    check_number(rates.len() as u64)?;
    Ok(rates)
}

fn parse_range(
    part: &str,
    first: &str,
    rest: &str,
) -> Result<impl Iterator<Item = u64> + use<>, String> {
    let not_a_range = || {
        format!("{part:?} is not a range: write FIRST..LAST:STEP, ascending, as in 10k..100k:10k")
    };
    let (last, step) = rest.split_once(':').ok_or_else(|| without_step(part, first, rest))?;
    let (first, last) = (parse_rate(first)?, parse_rate(last)?);
    let step = parse_rate(step)?;
    let count = last.checked_sub(first).ok_or_else(not_a_range)? / step + 1;
    check_number(count)?;
    Ok((0..count).map(move |place| first + place * step))
}

fn check_number(rates: u64) -> Result<(), String> {
    match rates {
        0..=MAX_RATES => Ok(()),
        _ => Err(format!("these are {rates} rates: use at most {MAX_RATES}")),
    }
}

/// The message about a range without a step, with one that gives a few rates.
fn without_step(part: &str, first: &str, last: &str) -> String {
    const STEPS: u64 = 4;
    let ends = parse_rate(first).ok().zip(parse_rate(last).ok());
    let step = ends.map(|(first, last)| (last.saturating_sub(first) / STEPS).max(1));
    let step = step.map_or("STEP".to_owned(), format_count);
    format!("{part:?} has no step: write {first}..{last}:{step}")
}

/// The message about a range as others write it: `10k-50k`, `10k:50k:10k`.
fn range_in_other_signs(text: &str) -> Option<String> {
    let (first, rest) = text.split_once(['-', ':'])?;
    let (last, step) = rest.split_once(':').map_or((rest, None), |(last, step)| (last, Some(step)));
    let mut numbers = [first, last].into_iter().chain(step);
    numbers.all(|number| parse_count(number).is_ok()).then(|| match step {
        None => without_step(text, first, last),
        Some(step) => format!("{text:?} is not a range: write {first}..{last}:{step}"),
    })
}

/// Reads messages a second: a count, which may say so.
pub(super) fn parse_per_s(text: &str) -> Result<u64, UnitError> {
    parse_count(text.strip_suffix("/s").unwrap_or(text))
}

fn parse_rate(text: &str) -> Result<u64, String> {
    if let Some(why) = range_in_other_signs(text) {
        return Err(why);
    }
    match parse_per_s(text) {
        Ok(rate @ 1..=MAX_RATE) => Ok(rate),
        Ok(rate) => Err(format!(
            "{} is not a rate that can be offered: use 1 to {}",
            format_count(rate),
            format_count(MAX_RATE)
        )),
        Err(why) => Err(format!("{text:?} is not a rate: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_are_read() {
        let rates = |text| parse_rates(text).unwrap();
        assert_eq!(rates("10k"), [10_000]);
        assert_eq!(rates("10k/s,20K"), [10_000, 20_000]);
        assert_eq!(rates("20k, 10k,40k,10k"), [10_000, 20_000, 40_000]);
        assert_eq!(rates("10k..30k:10k"), [10_000, 20_000, 30_000]);
        assert_eq!(rates("1..10:4"), [1, 5, 9]);
        assert_eq!(rates("5..5:1"), [5]);
        assert_eq!(rates("100,1k..2k:500"), [100, 1_000, 1_500, 2_000]);
    }

    #[test]
    fn errors_name_cause_and_fix() {
        let cases = [
            ("", "\"\" is not a rate: it must begin with a number: write 10k"),
            ("10k,", "\"\" is not a rate: it must begin with a number: write 10k"),
            ("0", "0 is not a rate that can be offered: use 1 to 1G"),
            ("2G", "2G is not a rate that can be offered: use 1 to 1G"),
            ("1k..2k", "\"1k..2k\" has no step: write 1k..2k:250"),
            ("10k-50k", "\"10k-50k\" has no step: write 10k..50k:10k"),
            ("10k:50k", "\"10k:50k\" has no step: write 10k..50k:10k"),
            ("10k:50k:5k", "\"10k:50k:5k\" is not a range: write 10k..50k:5k"),
            ("10k-50k:5k", "\"10k-50k:5k\" is not a range: write 10k..50k:5k"),
            ("10,000..50,000:10,000", "commas part rates: write 10000..50000:10000"),
            ("10,000,20,000", "commas part rates: write 10000,20000"),
            (
                "2k..1k:100",
                "\"2k..1k:100\" is not a range: write FIRST..LAST:STEP, ascending, as in \
                 10k..100k:10k",
            ),
            ("1k..2k:0", "0 is not a rate that can be offered: use 1 to 1G"),
            ("1..1k:1", "these are 1000 rates: use at most 200"),
        ];
        for (text, error) in cases {
            assert_eq!(parse_rates(text).unwrap_err(), error, "{text}");
        }
    }
}
