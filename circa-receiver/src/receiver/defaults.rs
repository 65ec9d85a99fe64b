//! The defaults of a receiver, each with its reason. The tolerance's is `verify::verifier`'s.

use std::time::Duration;

use crate::run::Pauses;
use crate::sender::{Envelope, Sender};

/// An endpoint's event is near 40 KB at most (Circa documentation: lists hold at most 500 ids); 1
/// MiB leaves room, and bounds what a stranger can make us hold.
pub(super) const BODY_LIMIT: usize = 1_024 * 1_024;
/// As the ack deadline: a body that takes longer could not be answered in time any more.
pub(super) const READ_DEADLINE: Duration = Duration::from_secs(10);
/// With 1 MiB each, at most 256 MiB.
pub(super) const MAX_IN_FLIGHT: usize = 256;
/// Circa gives up at 15 s (Circa documentation, Webhooks); 5 s are left for the answer's way.
pub(super) const ACK_DEADLINE: Duration = Duration::from_secs(10);
/// When the sender gives up: 15 s (Circa documentation, Webhooks).
pub(super) const SENDER_TIMEOUT: Duration = Duration::from_secs(15);
/// Four times the longest time that a handler's answer is waited for; renewed at a third.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// Circa's retries span 31 h 12 m 30 s (Circa documentation, Webhooks); 72 h cover them twice, and
/// a weekend.
const RETENTION: Duration = Duration::from_secs(72 * 3_600);
/// Events that are known by their bytes alone (Circularo's): a second genuine event with the same
/// bytes is one event for as long. No retry is documented; an hour covers the copies of a tenant's
/// and a team's webhook that point to one URL, and the retries that senders usually make first.
const RETENTION_BY_BYTES: Duration = Duration::from_secs(3_600);
/// Five times a bad day of a store in the same network, and well within the ack deadline.
pub(super) const STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// Below the 30 s that orchestrators wait between SIGTERM and SIGKILL by default, with room for a
/// hard end.
pub(super) const DRAIN_DEADLINE: Duration = Duration::from_secs(20);
/// How many bodies are waited for at once; each costs a few kilobytes beside its bytes.
pub(super) const MAX_READERS: usize = 4_096;
/// The memory that bodies take together while they are waited for.
pub(super) const MAX_READER_BYTES: usize = 128 * 1_024 * 1_024;
/// Twice the deliveries in flight: handlers that run on beyond their answer hold no place any more.
pub(super) const MAX_RUNNING: usize = 512;
/// A handler that runs longer is taken to hang.
pub(super) const RUN_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Of the places in flight, deliveries that only wait for another run of their event keep at most
/// this share: a quarter.
pub(super) const WAITING_SHARE: usize = 4;

/// The pauses after which a store is asked again about a claim that is held elsewhere.
pub(super) const POLL_PAUSES: Pauses = Pauses::new(Duration::from_millis(20), Duration::from_secs(1));
/// The pauses after which a call of a store that failed is retried.
pub(super) const RETRY_PAUSES: Pauses = Pauses::new(Duration::from_millis(50), Duration::from_millis(250));
/// How long before the ack deadline the retries of a store's call end, so that the sender still
/// gets an answer.
pub(super) const GIVE_UP_BEFORE: Duration = Duration::from_secs(2);
/// How long before the ack deadline `complete` goes on in the background, so that the sender still
/// gets its 200; at most half of the time that is left.
pub(super) const ANSWERED_BEFORE: Duration = Duration::from_millis(500);

/// What longer durations are cut to, so that no deadline overflows.
pub(super) const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How long a sender's handled events are remembered.
pub(super) fn retention(sender: Sender) -> Duration {
    match sender.spec().envelope {
        Envelope::Circa => RETENTION,
        Envelope::Circularo => RETENTION_BY_BYTES,
    }
}
