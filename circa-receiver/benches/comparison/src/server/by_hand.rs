//! The candidates that are written by hand. Naive and careful handle a delivery within its request;
//! only `answer` gives it to a task. None is to be used: an event whose handler fails is lost.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use circa_receiver::{Verifier, event::DatapointPulled};
use circa_receiver_bench_support::{SECRET, secret};
use hmac::{Hmac, KeyInit, Mac};
use moka::{policy::EvictionPolicy, sync::Cache};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::handle;

/// Receives a delivery, its signature and its body: gives what the handler is to be given in a task,
/// `None` where nothing is left to do, or the status of a refusal.
pub type ByHand = Box<dyn Fn(&str, &[u8]) -> Result<Option<DatapointPulled>, u16> + Send + Sync>;

pub fn named(candidate: &str) -> ByHand {
    match candidate {
        "bare" => Box::new(|_, body| {
            handle(&body);
            Ok(None)
        }),
        "answer" => Box::new(answer()),
        "naive" => Box::new(naive()),
        "careful" => Box::new(careful()),
        other => panic!("no candidate is called {other}"),
    }
}

/// What no receiver can leave out, written simply, with the same libraries: it verifies the one
/// signature header, reads the body in one pass into the handler's type, and puts the id into a
/// set, for ever.
fn answer() -> impl Fn(&str, &[u8]) -> Result<Option<DatapointPulled>, u16> {
    /// The event as its handler wants it, and of the envelope no more than is asked for here.
    #[derive(Deserialize)]
    struct Wanted<'a> {
        id: &'a str,
        r#type: &'a str,
        data: DatapointPulled,
    }

    let (verifier, hasher) = (Verifier::circa(secret()), RandomState::new());
    let seen: Mutex<HashSet<u64>> = Mutex::default();
    move |signature, body| {
        let headers = [("circa-signature", signature.as_bytes())];
        let _ = verifier.verify(headers, body, SystemTime::now()).map_err(|_| 401_u16)?;
        let body = std::str::from_utf8(body).map_err(|_| 400_u16)?;
        let event: Wanted<'_> = serde_json::from_str(body).map_err(|_| 400_u16)?;
        let id = hasher.hash_one(event.id);
        if event.r#type != "datapoint.pulled" || !seen.lock().expect("no holder panics").insert(id) {
            return Ok(None);
        }
        Ok(Some(event.data))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct PropertyPull {
    unit: String,
    material_id: String,
    property_ids: Vec<String>,
    user_id: Option<String>,
}

/// As one writes it from the vendor's page: header parts in a map, the signed text put together, hex
/// compared with hex, the body parsed into a `Value`, and a set of ids that is asked before it is
/// added to.
fn naive() -> impl Fn(&str, &[u8]) -> Result<Option<DatapointPulled>, u16> {
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

    let (secret, seen) = (SECRET.to_owned(), Mutex::<HashSet<String>>::default());
    let verify = move |signature: &str, body: &[u8]| -> Option<Value> {
        let parts: HashMap<&str, &str> = signature.split(',').filter_map(|part| part.split_once('=')).collect();
        let (t, v1) = (parts.get("t")?, parts.get("v1")?);
        let body = String::from_utf8(body.to_vec()).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(format!("{t}.{body}").as_bytes());
        let expected = hex::encode(mac.finalize().into_bytes());
        let authentic = bool::from(expected.as_bytes().ct_eq(v1.as_bytes()));
        if is_recent(t)? && authentic { serde_json::from_str(&body).ok() } else { None }
    };
    move |signature, body| {
        let event = verify(signature, body).ok_or(401_u16)?;
        let id = event["id"].as_str().ok_or(400_u16)?.to_owned();
        if seen.lock().expect("no holder panics").contains(&id) {
            return Ok(None);
        }
        let event: Pulled = serde_json::from_value(event).map_err(|_| 400_u16)?;
        handle(&event);
        seen.lock().expect("no holder panics").insert(id);
        Ok(None)
    }
}

/// As one writes it with care: the key prepared, the header read in place, the time judged, a
/// borrowed envelope, a typed event, one atomic entry in a bounded cache of ids. It has no claim
/// that a failed handler gives up, and no deadlines.
fn careful() -> impl Fn(&str, &[u8]) -> Result<Option<DatapointPulled>, u16> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        id: &'a str,
        r#type: &'a str,
        #[serde(borrow)]
        data: &'a RawValue,
    }

    let key = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length will do");
    let verify = move |signature: &str, body: &[u8]| -> Option<bool> {
        let (t, v1) = signature.strip_prefix("t=")?.split_once(",v1=")?;
        let mut candidate = [0; 32];
        hex::decode_to_slice(v1, &mut candidate).ok()?;
        let mut mac = key.clone();
        mac.update(t.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac.verify_slice(&candidate).ok()?;
        is_recent(t)
    };
    let seen: Cache<String, ()> = Cache::builder()
        .max_capacity(100_000)
        .time_to_live(Duration::from_secs(72 * 3_600))
        // The default may refuse the newest when full.
        .eviction_policy(EvictionPolicy::lru())
        .build();
    move |signature, body| {
        if verify(signature, body) != Some(true) {
            return Err(401);
        }
        let body = std::str::from_utf8(body).map_err(|_| 400_u16)?;
        let envelope: Envelope<'_> = serde_json::from_str(body).map_err(|_| 400_u16)?;
        if envelope.r#type == "datapoint.pulled" && seen.entry_by_ref(envelope.id).or_insert_with(|| ()).is_fresh() {
            let data: PropertyPull = serde_json::from_str(envelope.data.get()).map_err(|_| 400_u16)?;
            handle(&data);
        }
        Ok(None)
    }
}

/// Whether it is at most five minutes from now, if it is a time.
fn is_recent(t: &str) -> Option<bool> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(now.abs_diff(t.parse().ok()?) <= 300)
}
