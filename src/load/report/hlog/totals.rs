//! Sums of histograms, each exact or an error.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::merge::{MergeError, Piece};
use super::read::Problem;

#[derive(Debug, Default)]
pub(super) struct Totals<'a> {
    by_tag: BTreeMap<Option<&'a str>, Total<'a>>,
    samples: u64,
}

#[derive(Debug)]
struct Total<'a> {
    sum: Histogram<u64>,
    /// The first piece that is not empty, which decides its precision.
    first: Piece<'a>,
}

impl<'a> Totals<'a> {
    /// Decodes the histogram of an interval and adds it to those of its tag; returns it.
    pub(super) fn add(&mut self, piece: Piece<'a>) -> Result<Histogram<u64>, MergeError> {
        let values = piece.entry.histogram();
        let values = values.map_err(|error| MergeError { log: piece.log, error })?;
        let samples = self.samples.checked_add(values.len());
        self.samples = samples.ok_or_else(|| piece.error(Problem::TooManySamples))?;
        let tag = piece.entry.tag.as_deref();
        let total =
            self.by_tag.entry(tag).or_insert_with(|| Total { sum: growing(), first: piece });
        total.add(piece, &values)?;
        Ok(values)
    }

    pub(super) fn into_sums(self) -> BTreeMap<Option<String>, Histogram<u64>> {
        let owned = |(tag, total): (Option<&str>, Total<'_>)| (tag.map(str::to_owned), total.sum);
        self.by_tag.into_iter().map(owned).collect()
    }
}

impl<'a> Total<'a> {
    fn add(&mut self, piece: Piece<'a>, values: &Histogram<u64>) -> Result<(), MergeError> {
        if self.sum.is_empty() {
            self.first = piece;
        }
        let (own, others) = (precision(values), precision(&self.sum));
        if own == others || values.is_empty() || self.sum.is_empty() {
            add_any(&mut self.sum, values);
            return Ok(());
        }
        // Pieces come in the order of time; what is odd is what comes later in the files.
        let place = |piece: Piece<'_>| (piece.log, piece.entry.line);
        let is_own_later = place(piece) > place(self.first);
        let (odd, (own, others)) =
            if is_own_later { (piece, (own, others)) } else { (self.first, (others, own)) };
        Err(odd.error(Problem::OtherPrecision { own, others }))
    }
}

pub(in crate::load::report) fn growing() -> Histogram<u64> {
    let mut histogram = Histogram::new(3).expect("three digits are possible");
    histogram.auto(true);
    histogram
}

/// Adds a histogram to a sum that grows; where their precision differs, the sum has three digits.
/// An empty one has no precision.
pub(in crate::load) fn add_any(sum: &mut Histogram<u64>, other: &Histogram<u64>) {
    if sum.is_empty() && !other.is_empty() {
        sum.clone_from(other);
        return sum.auto(true);
    }
    if other.is_empty() || precision(sum) == precision(other) {
        return sum.add(other).expect("the sum grows");
    }
    let mut rounded = growing();
    for histogram in [&*sum, other] {
        for step in histogram.iter_recorded() {
            // A percentile is the highest value of those that count as one.
            let value = histogram.highest_equivalent(step.value_iterated_to());
            rounded.record_n(value, step.count_at_value()).expect("the sum grows");
        }
    }
    *sum = rounded;
}

/// The properties by which histograms can be added without loss: their significant digits and their
/// lowest discernible value. The highest does not matter, they grow.
fn precision(histogram: &Histogram<u64>) -> (u8, u64) {
    (histogram.sigfig(), histogram.low())
}
