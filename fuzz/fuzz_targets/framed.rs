#![no_main]

use ringback::testing::{fuzz, mutator};

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::framed(data));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::mutate(data, size, max_size, seed, libfuzzer_sys::fuzzer_mutate)
});
