//! Accepting: what a delivery asks of an inbox, and what it is answered.

use std::time::Duration;

use super::entry::Entry;
use crate::dedup::Nonce;

/// What a delivery asks of an inbox: to keep its event, and to put it in the queue.
#[derive(Clone, Debug)]
pub struct AcceptRequest {
    entry: Entry,
    nonce: Nonce,
    unreadable: Option<String>,
}

impl AcceptRequest {
    /// A request by the delivery `nonce`, which may repeat it when the answer was lost.
    pub fn new(entry: Entry, nonce: Nonce) -> Self {
        Self { entry, nonce, unreadable: None }
    }

    /// The event is not put in the queue but among the dead letters, with
    /// [`Cause::Unreadable`](super::Cause::Unreadable) and this text.
    #[must_use]
    pub fn unreadable(mut self, why: impl Into<String>) -> Self {
        self.unreadable = Some(why.into());
        self
    }

    /// What is to be kept.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Which delivery asks.
    pub fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// Why the event goes to the dead letters, if it does.
    pub fn why_unreadable(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }
}

/// An inbox's answer to a delivery.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accepted {
    /// The event was unknown, and is durable now.
    New,
    /// The event was accepted before, whatever became of it, or was handled in dedup mode.
    Known {
        /// Whether it then had the same body.
        same_body: bool,
    },
    /// A receiver in dedup mode handles it now. Nothing was stored: that run may still fail.
    InProgress {
        /// When its lease lapses at the latest, unless it is renewed.
        retry_after: Duration,
    },
}
