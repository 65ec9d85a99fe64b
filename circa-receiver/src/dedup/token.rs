//! The token that fences a claim, and the nonce by which a claim can be repeated.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Names one delivery, so that its claim can be repeated when the store's answer was lost.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Nonce(u128);

impl Nonce {
    /// A nonce from its number; a store hands on the nonces that it is given.
    pub fn new(number: u128) -> Self {
        Self(number)
    }

    /// A nonce that no other delivery has: its upper half is random per process, its lower half
    /// counts deliveries.
    pub fn fresh() -> Self {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(u128::from(*PROCESS) << 64 | u128::from(COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// Its number.
    pub fn get(self) -> u128 {
        self.0
    }
}

/// Fences a claim: rises with every take-over of a key.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token(u64);

impl Token {
    /// A token from its number, which a store chooses.
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub fn get(self) -> u64 {
        self.0
    }
}
