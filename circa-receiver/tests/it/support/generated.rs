//! What the properties share: how many cases each has, and the simplest generators.

use circa_receiver::Secret;
use proptest::{collection::vec, prelude::*};

/// The cases of each property. None is written to the disk: what a failure prints is enough to
/// repeat it as a row of a table.
pub(crate) fn config() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

pub(crate) fn secret(bytes: &[u8]) -> Secret {
    Secret::dangerous_unchecked(bytes).unwrap()
}

pub(crate) fn bytes(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=longest)
}
