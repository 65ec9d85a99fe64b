//! What the crate offers for tests.

mod simulator;
