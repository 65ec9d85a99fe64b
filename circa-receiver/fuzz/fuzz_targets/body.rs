//! A shim: what is done with an input, and what must hold, stands in
//! `circa_receiver_test_support::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| circa_receiver_test_support::fuzz::body(input));
