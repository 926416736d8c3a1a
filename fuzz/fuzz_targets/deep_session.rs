#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringback::testing::fuzz::deep_session(data));
