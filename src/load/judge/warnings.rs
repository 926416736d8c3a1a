//! The warnings of many runs as those of one report.

use std::collections::BTreeMap;

use crate::load::format::part;

/// Each kind of warning once: in the words of the first run that has it, with how many have it where
/// not all do. Of one kind are sentences that differ in numbers alone.
pub(in crate::load) fn summarised(runs: &[&[String]]) -> Vec<String> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut found: Vec<(&String, u64)> = Vec::new();
    for warning in runs.iter().copied().flatten() {
        let place = *kinds.entry(without_numbers(warning)).or_insert(found.len());
        match found.get_mut(place) {
            Some((_, times)) => *times += 1,
            None => found.push((warning, 1)),
        }
    }
    let all = runs.len() as u64;
    let in_words = |(warning, times): (&String, u64)| match times == all {
        true => warning.clone(),
        false => format!("in {}: {warning}", part(times, all, "run")),
    };
    found.into_iter().map(in_words).collect()
}

/// The words of a sentence that are neither numbers nor units.
fn without_numbers(sentence: &str) -> String {
    const UNITS: [&str; 6] = ["ns", "µs", "us", "ms", "s", "%"];
    let is_kept = |word: &&str| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '%');
        !word.starts_with(|c: char| c.is_ascii_digit()) && !UNITS.contains(&word)
    };
    sentence.split_whitespace().filter(is_kept).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_that_differ_in_numbers_are_one_warning() {
        let waited = |text: &str| format!("the server (process {text} or longer: see top");
        let runs: [&[String]; 3] = [
            &[
                waited("12) waited 3.1 % of the time for CPU 0, once for 448 µs"),
                "shared".to_owned(),
            ],
            &["shared".to_owned()],
            &[
                waited("13) waited 5 % of the time for CPU 0, once for 1.20 ms"),
                "shared".to_owned(),
            ],
        ];
        let expected = [format!("in 2 of 3 runs: {}", runs[0][0]), "shared".to_owned()];
        assert_eq!(summarised(&runs), expected);
        assert!(summarised(&[]).is_empty());
    }
}
