//! A receiver as one writes it from the vendor's page: header parts in a map, the signed text put
//! together, hex compared with hex, the body parsed into a `Value`, and a set of ids that is asked
//! before it is added to.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
    time::{SystemTime, UNIX_EPOCH},
};

use circa_receiver_bench_support::SECRET;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The event, as its handler wants it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Pulled {
    id: String,
    r#type: String,
    created: i64,
    livemode: bool,
    team_id: String,
    data: PropertyPull,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
pub struct PropertyPull {
    unit: String,
    material_id: String,
    property_ids: Vec<String>,
    user_id: Option<String>,
}

/// The receiver.
pub struct Naive {
    secret: String,
    seen: Mutex<HashSet<String>>,
}

impl Naive {
    pub fn new() -> Self {
        Self { secret: SECRET.to_owned(), seen: Mutex::default() }
    }

    /// Handles one delivery; gives the status.
    pub fn receive(&self, signature: Option<&str>, body: &[u8]) -> u16 {
        let Some(event) = signature.and_then(|signature| self.verify(signature, body)) else { return 401 };
        let Some(id) = event["id"].as_str().map(str::to_owned) else { return 400 };
        if self.seen.lock().expect("no holder panics").contains(&id) {
            return 200;
        }
        let Ok(event) = serde_json::from_value::<Pulled>(event) else { return 400 };
        crate::handle(&event);
        self.seen.lock().expect("no holder panics").insert(id);
        200
    }

    fn verify(&self, signature: &str, body: &[u8]) -> Option<Value> {
        let parts: HashMap<&str, &str> = signature.split(',').filter_map(|part| part.split_once('=')).collect();
        let (t, v1) = (parts.get("t")?, parts.get("v1")?);
        let body = String::from_utf8(body.to_vec()).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).ok()?;
        mac.update(format!("{t}.{body}").as_bytes());
        let expected = hex::encode(mac.finalize().into_bytes());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let fresh = now.abs_diff(t.parse().ok()?) <= 300;
        let authentic = bool::from(expected.as_bytes().ct_eq(v1.as_bytes()));
        if fresh && authentic { serde_json::from_str(&body).ok() } else { None }
    }
}
