//! What the compiler says to mistakes that users make: the texts beside
//! `tests/compile_errors/*.rs`.
//!
//! After a change of the compiler that rewords them: `TRYBUILD=overwrite cargo test
//! compile_errors`, and read what changed.

#[test]
fn they_name_the_fix() {
    trybuild::TestCases::new().compile_fail("tests/compile_errors/*.rs");
}
