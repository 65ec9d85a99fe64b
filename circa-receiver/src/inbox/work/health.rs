//! Whether a worker reaches its inbox.

use std::time::Duration;

use tokio::time::Instant;

use crate::observe::StoreOperation;

/// A few polls. While a lease was answered within this time, the worker reaches its inbox, even if
/// a settlement fails.
const LATELY: Duration = Duration::from_secs(1);

/// Whether the inbox answers. Leases tell; where none is made, because all runs wait to be settled,
/// settlements do.
#[derive(Default)]
pub(super) struct Health {
    /// The operation that failed, until it is answered.
    failed: Option<StoreOperation>,
    /// When a lease was answered last.
    leased: Option<Instant>,
}

/// What an answer, or the lack of one, has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    Away,
    Back,
}

impl Health {
    pub(super) fn is_away(&self) -> bool {
        self.failed.is_some()
    }

    /// Notes how an operation ended.
    pub(super) fn note(&mut self, operation: StoreOperation, has_failed: bool) -> Option<Change> {
        let (was_away, is_lease) = (self.is_away(), operation == StoreOperation::Lease);
        if has_failed && (is_lease || !was_away && !self.has_leased_lately()) {
            self.failed = Some(operation);
        } else if !has_failed && (is_lease || self.failed == Some(operation)) {
            self.failed = None;
        }
        if is_lease && !has_failed {
            self.leased = Some(Instant::now());
        }
        match (was_away, self.is_away()) {
            (false, true) => Some(Change::Away),
            (true, false) => Some(Change::Back),
            _ => None,
        }
    }

    fn has_leased_lately(&self) -> bool {
        self.leased.is_some_and(|leased| leased.elapsed() < LATELY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn leases_decide_and_settlements_where_there_are_none() {
        use Change::{Away, Back};
        use StoreOperation::{Lease, Settle};

        let mut health = Health::default();
        let steps = [
            ("a lease is answered", Lease, false, None),
            ("one settlement fails beside leases", Settle, true, None),
            ("a lease fails", Lease, true, Some(Away)),
            ("a settlement is answered", Settle, false, None),
            ("a lease is answered again", Lease, false, Some(Back)),
        ];
        for (name, operation, has_failed, change) in steps {
            assert_eq!(health.note(operation, has_failed), change, "{name}");
        }
        tokio::time::advance(LATELY).await;
        let steps = [
            ("a settlement fails, and no lease is made", Settle, true, Some(Away)),
            ("another one", Settle, true, None),
            ("it is answered", Settle, false, Some(Back)),
        ];
        for (name, operation, has_failed, change) in steps {
            assert_eq!(health.note(operation, has_failed), change, "{name}");
        }
    }
}
