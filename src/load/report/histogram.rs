//! A latency histogram drawn in characters.

use hdrhistogram::Histogram;

use crate::load::format::{count, nanos, percent};

/// Rows that cover the bulk; one more takes the tail.
const ROWS: usize = 14;
/// Characters of the longest bar.
const BAR: usize = 40;
/// The share of samples that the even rows cover; what is beyond would leave them all in one.
const BULK: f64 = 0.999;

/// Lines that show where the samples lie, each ended by a line feed.
pub(super) fn draw(histogram: &Histogram<u64>) -> String {
    let rows = rows(histogram);
    let most = rows.iter().map(|row| row.samples).max().unwrap_or(0).max(1);
    let labels: Vec<String> = rows.iter().map(Row::label).collect();
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    rows.iter()
        .zip(labels)
        .map(|(row, label)| {
            let share = row.samples as f64 / histogram.len() as f64;
            format!(
                "    {label:>width$} │{:<BAR$} {:>7}  {:>12}\n",
                bar(row.samples as f64 / most as f64),
                percent_of_row(share),
                count(row.samples),
            )
        })
        .collect()
}

/// Samples above `above_ns` and up to `upto_ns`; without a bound in the last row.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    above_ns: u64,
    upto_ns: Option<u64>,
    samples: u64,
}

impl Row {
    fn label(&self) -> String {
        match self.upto_ns {
            Some(upto_ns) => format!("≤ {}", nanos(upto_ns)),
            None => format!("> {}", nanos(self.above_ns)),
        }
    }
}

fn rows(histogram: &Histogram<u64>) -> Vec<Row> {
    if histogram.is_empty() {
        return Vec::new();
    }
    let bounds = bounds(histogram.min(), histogram.value_at_quantile(BULK));
    let mut rows = Vec::with_capacity(bounds.len() + 1);
    let (mut above_ns, mut counted) = (0, 0);
    for upto_ns in bounds {
        let upto_here = histogram.count_between(0, upto_ns).min(histogram.len());
        rows.push(Row { above_ns, upto_ns: Some(upto_ns), samples: upto_here - counted });
        (above_ns, counted) = (upto_ns, upto_here);
    }
    if counted < histogram.len() {
        rows.push(Row { above_ns, upto_ns: None, samples: histogram.len() - counted });
    }
    rows
}

/// Round numbers that divide the range from `low_ns` to `high_ns`: evenly where it is narrow, by
/// a ratio where it is wide.
fn bounds(low_ns: u64, high_ns: u64) -> Vec<u64> {
    let low_ns = low_ns.max(1);
    // Other tools log values of 0.
    let high_ns = high_ns.max(low_ns);
    if high_ns / low_ns < 8 { even_bounds(low_ns, high_ns) } else { ratio_bounds(low_ns, high_ns) }
}

fn even_bounds(low_ns: u64, high_ns: u64) -> Vec<u64> {
    let step = (0_u32..20)
        .flat_map(|exponent| [1, 2, 5].map(|digit| digit * 10_u64.pow(exponent.min(18))))
        .find(|step| (high_ns / step - low_ns / step) < ROWS as u64)
        .unwrap_or(high_ns);
    (low_ns / step + 1..=high_ns.div_ceil(step).max(low_ns / step + 1))
        .map(|multiple| multiple * step)
        .collect()
}

fn ratio_bounds(low_ns: u64, high_ns: u64) -> Vec<u64> {
    /// Steps of a decade, in percents of its beginning, finest first (rounded E12, E5, 1-2-5).
    const LADDERS: [&[u64]; 4] = [
        &[100, 120, 150, 180, 220, 270, 330, 390, 470, 560, 680, 820],
        &[100, 160, 250, 400, 630],
        &[100, 200, 500],
        &[100],
    ];
    let climb = |ladder: &[u64]| -> Vec<u64> {
        let mut bounds = Vec::new();
        for decade in 0..14 {
            for step in ladder {
                let bound = step * 10_u64.pow(decade) / 100;
                if bound > low_ns && bounds.last().is_none_or(|last| *last < high_ns) {
                    bounds.push(bound);
                }
            }
        }
        bounds.dedup();
        bounds
    };
    let ladders = LADDERS.map(climb);
    let fitting = ladders.iter().find(|bounds| bounds.len() <= ROWS);
    fitting.unwrap_or(&ladders[LADDERS.len() - 1]).clone()
}

/// A bar whose length is this share of the longest, to an eighth of a character.
fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * (BAR * 8) as f64).round() as usize;
    // A row that is not empty shows.
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

fn percent_of_row(share: f64) -> String {
    if share > 0.0 && share < 0.0005 { "< 0.1 %".to_owned() } else { percent(share) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_hold_every_sample_once_and_fit_a_screen(
            samples in proptest::collection::vec(0_u64..60_000_000_000, 1..200),
        ) {
            let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
            samples.iter().for_each(|sample| histogram.saturating_record(*sample));
            let rows = rows(&histogram);
            prop_assert_eq!(rows.iter().map(|row| row.samples).sum::<u64>(), histogram.len());
            prop_assert!(rows.len() <= ROWS + 2, "{} rows", rows.len());
            let is_above = |pair: &[Row]| {
                pair[0].upto_ns <= pair[1].upto_ns || pair[1].upto_ns.is_none()
            };
            prop_assert!(rows.windows(2).all(is_above));
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let histogram = Histogram::<u64>::new_with_bounds(1, 1000, 3).unwrap();
        assert_eq!(draw(&histogram), "");
    }

    #[test]
    fn bounds_are_round() {
        assert_eq!(bounds(281, 339), [285, 290, 295, 300, 305, 310, 315, 320, 325, 330, 335, 340]);
        assert_eq!(bounds(5, 5), [6]);
        assert_eq!(bounds(0, 0), [2]);
        assert_eq!(
            bounds(900, 90_000),
            [1000, 1600, 2500, 4000, 6300, 10_000, 16_000, 25_000, 40_000, 63_000, 100_000]
        );
    }
}
