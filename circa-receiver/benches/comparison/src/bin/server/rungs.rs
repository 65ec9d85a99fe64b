//! What no receiver can leave out, one part upon the other: what each adds to the bare route, written simply, with the libraries that ours has too.
//!
//! A rung does what the rung before it does, and one thing more. None is a receiver to be used: the event of a handler that fails is lost, ids are kept
//! for ever as hashes of 64 bits.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::Mutex,
};

use circa_receiver::{Clock, Secret, SystemClock, Verifier, event::DatapointPulled};
use serde::Deserialize;

/// How far it goes.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub enum Rung {
    /// The signature, of its one header.
    Verify,
    /// The whole body in one pass, into the handler's type.
    Parse,
    /// The id, into a set.
    Claim,
    /// The handler in a task of its own, which the request waits for.
    Task,
    /// The answer, with its headers and its body.
    Answer,
}

/// The event as its handler wants it, and of the envelope no more than is asked for here.
#[derive(Deserialize)]
struct Pulled<'a> {
    id: &'a str,
    r#type: &'a str,
    data: DatapointPulled,
}

/// What the handler is given, as far as there is one; or the status of the answer.
pub enum Taken {
    Answer(u16),
    /// The body as it is.
    Body,
    /// To be handled within the request.
    Event(DatapointPulled),
    /// To be handled in a task.
    Task(DatapointPulled),
}

/// All rungs up to one.
pub struct Rungs {
    up_to: Rung,
    verifier: Verifier,
    seen: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

impl Rungs {
    pub fn new(up_to: Rung, secret: &str) -> Self {
        let verifier = Verifier::circa(Secret::new(secret).expect("a good secret"));
        Self { up_to, verifier, seen: Mutex::default(), hasher: RandomState::new() }
    }

    pub fn take(&self, signature: Option<&[u8]>, body: &[u8]) -> Taken {
        let Ok(now) = SystemClock.unix_seconds() else { return Taken::Answer(503) };
        let headers = signature.map(|signature| ("circa-signature", signature));
        if self.verifier.verify(headers, body, now).is_err() {
            return Taken::Answer(401);
        }
        if self.up_to < Rung::Parse {
            return Taken::Body;
        }
        let Ok(body) = std::str::from_utf8(body) else { return Taken::Answer(400) };
        let Ok(event) = serde_json::from_str::<Pulled<'_>>(body) else { return Taken::Answer(400) };
        let is_fresh = |id: &str| self.seen.lock().expect("no holder panics").insert(self.hasher.hash_one(id));
        if event.r#type != "datapoint.pulled" || self.up_to >= Rung::Claim && !is_fresh(event.id) {
            return Taken::Answer(200);
        }
        if self.up_to >= Rung::Task { Taken::Task(event.data) } else { Taken::Event(event.data) }
    }

    /// Whether the answer says what was done, in its body and in a header.
    pub fn tells(&self) -> bool {
        self.up_to >= Rung::Answer
    }
}
