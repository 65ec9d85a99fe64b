//! Pauses between calls that are repeated.

use std::time::Duration;

/// The pauses between calls that are repeated: from the first to the longest, doubling.
#[derive(Clone, Copy)]
pub(crate) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    /// The pause that comes next.
    pub(crate) fn peek(&self) -> Duration {
        self.next
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (2 * pause).min(self.longest);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_double_up_to_the_longest() {
        let mut pauses = Pauses::new(Duration::from_millis(50), Duration::from_millis(250));
        let taken = [(); 5].map(|()| pauses.next().as_millis());
        assert_eq!(taken, [50, 100, 200, 250, 250]);
    }
}
