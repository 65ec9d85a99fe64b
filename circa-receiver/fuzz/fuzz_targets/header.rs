//! A shim: what is done with an input, and what must hold, stands in `tests/support/fuzz.rs`.
#![no_main]
#![allow(dead_code)]

#[path = "../../tests/support/fuzz.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::header(input));
