//! What no receiver can leave out, one part upon the other: what each adds to the bare route, at its cheapest with the libraries that ours has too.
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

/// What the handler is given, as far as there is one.
pub enum Taken {
    Nothing,
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

    /// What is to be handled, or the status of the answer.
    pub fn take(&self, signature: Option<&[u8]>, body: &[u8]) -> Result<Taken, u16> {
        let now = SystemClock.unix_seconds().map_err(|_| 503_u16)?;
        let headers = signature.map(|signature| ("circa-signature", signature));
        let _ = self.verifier.verify(headers, body, now).map_err(|_| 401_u16)?;
        if self.up_to < Rung::Parse {
            return Ok(Taken::Nothing);
        }
        let body = std::str::from_utf8(body).map_err(|_| 400_u16)?;
        let event: Pulled<'_> = serde_json::from_str(body).map_err(|_| 400_u16)?;
        if event.r#type != "datapoint.pulled" {
            return Err(200);
        }
        if self.up_to >= Rung::Claim {
            let id = self.hasher.hash_one(event.id);
            if !self.seen.lock().expect("no holder panics").insert(id) {
                return Err(200);
            }
        }
        Ok(if self.up_to >= Rung::Task { Taken::Task(event.data) } else { Taken::Event(event.data) })
    }

    /// Whether the answer says what was done, in its body and in a header.
    pub fn tells(&self) -> bool {
        self.up_to >= Rung::Answer
    }
}
