//! A receiver as one writes it by hand with care: the key prepared, the header read in place, the
//! time judged, a borrowed envelope, a typed event, one atomic entry in a bounded cache of ids. It
//! has no task for the handler, no claim that a failed handler gives up, no deadlines.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use circa_receiver_bench_support::SECRET;
use hmac::{Hmac, KeyInit, Mac};
use moka::{policy::EvictionPolicy, sync::Cache};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::Sha256;

use crate::naive::PropertyPull;

#[derive(Deserialize)]
struct Envelope<'a> {
    id: &'a str,
    r#type: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The receiver.
pub struct Careful {
    key: Hmac<Sha256>,
    seen: Cache<String, ()>,
}

impl Careful {
    pub fn new() -> Self {
        let key = Hmac::new_from_slice(SECRET.as_bytes()).expect("a key of any length will do");
        let seen = Cache::builder()
            .max_capacity(100_000)
            .time_to_live(Duration::from_secs(72 * 3_600))
            // The default may refuse the newest when full.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { key, seen }
    }

    /// Handles one delivery; gives the status.
    pub fn receive(&self, signature: Option<&str>, body: &[u8]) -> u16 {
        let Some(()) = signature.and_then(|signature| self.verify(signature, body)) else { return 401 };
        let Ok(body) = std::str::from_utf8(body) else { return 400 };
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(body) else { return 400 };
        if envelope.r#type != "datapoint.pulled" {
            return 200;
        }
        if self.seen.entry_by_ref(envelope.id).or_insert_with(|| ()).is_fresh() {
            let Ok(data) = serde_json::from_str::<PropertyPull>(envelope.data.get()) else { return 400 };
            crate::handle(&data);
        }
        200
    }

    fn verify(&self, signature: &str, body: &[u8]) -> Option<()> {
        let (t, v1) = signature.strip_prefix("t=")?.split_once(",v1=")?;
        let mut candidate = [0; 32];
        hex::decode_to_slice(v1, &mut candidate).ok()?;
        let mut mac = self.key.clone();
        mac.update(t.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac.verify_slice(&candidate).ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        (now.abs_diff(t.parse().ok()?) <= 300).then_some(())
    }
}
