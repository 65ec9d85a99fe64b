//! The candidate `answer`: what no receiver can leave out, written simply, with the same libraries.
//!
//! It verifies the one signature header, reads the body in one pass into the handler's type, puts
//! the id into a set, runs the handler in a task, and says in a header and a body what was done. It
//! is no receiver to be used: it loses the event of a handler that fails, and keeps ids for ever.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::Mutex,
    time::SystemTime,
};

use circa_receiver::{Verifier, event::DatapointPulled};
use circa_receiver_bench_support::secret;
use serde::Deserialize;

/// The event as its handler wants it, and of the envelope no more than is asked for here.
#[derive(Deserialize)]
struct Pulled<'a> {
    id: &'a str,
    r#type: &'a str,
    data: DatapointPulled,
}

/// All that is kept between deliveries.
pub struct Least {
    verifier: Verifier,
    seen: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

impl Least {
    pub fn new() -> Self {
        Self { verifier: Verifier::circa(secret()), seen: Mutex::default(), hasher: RandomState::new() }
    }

    /// What the handler is to be given, or the status of the answer.
    pub fn take(&self, signature: Option<&[u8]>, body: &[u8]) -> Result<DatapointPulled, u16> {
        let headers = signature.map(|signature| ("circa-signature", signature));
        let _ = self.verifier.verify(headers, body, SystemTime::now()).map_err(|_| 401_u16)?;
        let body = std::str::from_utf8(body).map_err(|_| 400_u16)?;
        let event: Pulled<'_> = serde_json::from_str(body).map_err(|_| 400_u16)?;
        let id = self.hasher.hash_one(event.id);
        if event.r#type != "datapoint.pulled" || !self.seen.lock().expect("no holder panics").insert(id) {
            return Err(200);
        }
        Ok(event.data)
    }
}
