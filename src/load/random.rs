//! Random numbers that a seed fixes.

/// Sebastiano Vigna's generator (<https://prng.di.unimi.it/splitmix64.c>): any seed will do.
#[derive(Debug, Clone)]
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number of which every bit is as good as random.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0; each is as likely as any other to within 2^-64 of
    /// `bound` (Lemire's multiplication without its rejection).
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number of the exponential distribution whose mean is 1: at least 0, at most 36.8.
    pub(super) fn next_exponential(&mut self) -> f64 {
        // As many bits as a fraction below 1 has: never 1 itself, whose logarithm is infinite.
        const BITS: u32 = 53;
        let uniform = (self.next() >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64;
        -(-uniform).ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_sequence_is_met() {
        // The first numbers of Vigna's program with the state 1234567.
        let mut random = SplitMix64::new(1_234_567);
        let expected = [6457827717110365317, 3203168211198807973, 9817491932198370423];
        assert_eq!([random.next(), random.next(), random.next()], expected);
    }

    #[test]
    fn exponential_numbers_have_their_mean_and_median() {
        let mut random = SplitMix64::new(3);
        let numbers: Vec<f64> = (0..100_000).map(|_| random.next_exponential()).collect();
        let mean = numbers.iter().sum::<f64>() / 1e5;
        let below_median = numbers.iter().filter(|number| **number < 2_f64.ln()).count();
        // Five standard errors: 1 / sqrt(100,000), and 158 of 50,000.
        assert!((mean - 1.0).abs() < 0.016, "{mean}");
        assert!(below_median.abs_diff(50_000) < 790, "{below_median}");
        assert!(numbers.iter().all(|number| (0.0..=36.8).contains(number)));
    }
}
