//! How long a failed event waits: a random time up to a bound that doubles with each failure (full
//! jitter).

use std::{collections::hash_map::RandomState, hash::BuildHasher, time::Duration};

/// The bound doubles from `first`, and is at most `most`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) most: Duration,
}

impl Backoff {
    /// The wait after failure `n`, counted from 1: between 0 and the smaller of `first` x 2^n and
    /// `most`.
    pub(super) fn after(self, n: u32) -> Duration {
        // Each `RandomState` has a key of its own.
        let random = RandomState::new().hash_one(n) as f64 / u64::MAX as f64;
        self.bound(n).mul_f64(random.clamp(0.0, 1.0))
    }

    fn bound(self, n: u32) -> Duration {
        2_u32.checked_pow(n).and_then(|factor| self.first.checked_mul(factor)).unwrap_or(self.most).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(5), most: Duration::from_secs(3_600) };

    /// Contract, section 8a: failure n waits up to min(5 s x 2^n, 1 h).
    #[test]
    fn the_bound_doubles_up_to_an_hour() {
        for (n, seconds) in [(1, 10), (2, 20), (3, 40), (9, 2_560), (10, 3_600), (20, 3_600), (u32::MAX, 3_600)] {
            assert_eq!(BACKOFF.bound(n), Duration::from_secs(seconds), "failure {n}");
        }
    }

    /// Full jitter: waits are spread over the whole span, or all that failed together would come
    /// together again.
    #[test]
    fn waits_are_spread_over_the_whole_span() {
        let waits: Vec<f64> = (0..1_000).map(|_| BACKOFF.after(2).as_secs_f64()).collect();
        assert!(waits.iter().all(|wait| (0.0..=20.0).contains(wait)));
        for quarter in 0..4 {
            let from = 5.0 * f64::from(quarter);
            let within = waits.iter().filter(|wait| (from..from + 5.0).contains(*wait)).count();
            assert!((150..350).contains(&within), "{within} of 1,000 waits between {from} s and {} s", from + 5.0);
        }
    }
}
