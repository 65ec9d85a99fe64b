//! The cases of the core's vectors, as they can be sent to the reference receivers.
//!
//! The receivers run by the real clock and remember events, so a case is rewritten before it is
//! sent; what is odd about it stays:
//! 1. times: each element `t=` that is a plain integer is moved by the distance between the case's
//!    clock and the real one, so that the skew stays;
//! 2. ids: where a handler is to run, the last character of the body's `id` (`documentId`) is
//!    replaced by one not used before, and with it a `Circa-Event-Id` that was equal; the length
//!    stays;
//! 3. signatures: each value that was made from the correct MAC of the original, under any secret
//!    of the vectors, is made from the new MAC in the same way (case of the letters, truncation,
//!    encoding, a byte more); others stay.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    ops::Range,
    os::unix::ffi::OsStringExt,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use circa_receiver::testing::{CircaSigner, CircularoSigner};
use serde_json::Value;

use super::{CIRCA_SECRET, Protocol, Request};

const CASES: &str = include_str!("../../../../circa-receiver/tests/vectors/cases.json");

/// What cannot be carried, by either protocol.
const NOT_CARRIED: [(&str, &str); 3] = [
    ("ENV-027", "the receivers have no environment variable for the mode"),
    ("TIM-020", "the real clock cannot be set to 1970"),
    ("RES-001", "a load, not a delivery: see survives_a_flood.rs and memory_stays_flat.rs"),
];

/// What HTTP/2 cannot carry.
const NOT_OVER_HTTP2: [(&str, &str); 2] =
    [("HTP-011", "HTTP/2 has no chunked encoding"), ("HTP-012", "HTTP/2 has no chunked encoding")];

#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) what: String,
    pub(crate) layer: String,
    pub(crate) sender: String,
    now: i64,
    pub(crate) secrets: Vec<Vec<u8>>,
    method: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    pub(crate) expect: Value,
}

/// All cases.
pub(crate) fn cases() -> Vec<Case> {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    cases.iter().map(Case::read).collect()
}

/// The deliveries that the protocol can carry, grouped by the receiver they are for: one process
/// for each group.
pub(crate) fn carried(cases: &[Case], protocol: Protocol) -> Vec<Vec<&Case>> {
    let own = if protocol == Protocol::Http1 { &[][..] } else { &NOT_OVER_HTTP2[..] };
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.is_delivery()) {
        if let Some((id, reason)) = NOT_CARRIED.iter().chain(own).find(|(id, _)| *id == case.id) {
            println!("{id} skipped over {protocol:?}: {reason}");
            continue;
        }
        groups.entry((&case.sender, &case.secrets)).or_default().push(case);
    }
    groups.into_values().collect()
}

impl Case {
    fn read(case: &Value) -> Self {
        let text = |field: &str| case[field].as_str().unwrap().to_owned();
        assert!(
            case.get("tolerance_seconds").is_none(),
            "the receivers have no environment variable for the tolerance"
        );
        let id = text("id");
        assert!(case.get("mode").is_none() || NOT_CARRIED.iter().any(|(other, _)| *other == id), "{id} has a mode");
        let header = |pair: &Value| (pair[0].as_str().unwrap().to_owned(), bytes(&pair[1]));
        Self {
            what: text("what"),
            layer: text("layer"),
            sender: text("sender"),
            now: case["now"].as_i64().unwrap(),
            secrets: case["secrets"].as_array().unwrap().iter().map(bytes).collect(),
            method: case["method"].as_str().unwrap_or("POST").to_owned(),
            headers: case["headers"].as_array().unwrap().iter().map(header).collect(),
            body: body(case),
            expect: case["expect"].clone(),
            id,
        }
    }

    /// Whether it is about a delivery; the others are about a MAC alone, or about the start.
    pub(crate) fn is_delivery(&self) -> bool {
        ["signature", "event", "http"].contains(&self.layer.as_str())
    }

    pub(crate) fn request(&self) -> Request {
        let request = Request::post(&format!("/webhooks/{}", self.sender)).method(&self.method).body(self.body.clone());
        self.headers.iter().fold(request, |request, (name, value)| {
            if name.eq_ignore_ascii_case("transfer-encoding") {
                request.chunked(16 * 1_024)
            } else {
                request.header(name, value.clone())
            }
        })
    }

    /// Where the id of the body stands in it.
    fn id_range(&self) -> Option<Range<usize>> {
        let field = if self.sender == "circa" { "\"id\":\"" } else { "\"documentId\":\"" };
        let find = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).position(|window| window == part);
        let start = find(&self.body, field.as_bytes())? + field.len();
        Some(start..start + find(&self.body[start..], b"\"")?)
    }

    pub(crate) fn event_id(&self) -> Option<String> {
        Some(String::from_utf8(self.body[self.id_range()?].to_vec()).unwrap())
    }

    /// What a receiver for this case is started with.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let secrets = self.secrets.iter().cloned().map(OsString::from_vec);
        if self.sender == "circa" {
            assert!(self.secrets.len() <= 2, "{}: the environment takes two secrets", self.id);
            ["CIRCA_WEBHOOK_SECRET", "CIRCA_WEBHOOK_SECRET_OLD"].into_iter().zip(secrets).collect()
        } else {
            assert!(self.secrets.len() <= 1, "{}: the environment takes one secret", self.id);
            let circa = ("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET.into());
            [circa].into_iter().chain(["CIRCULARO_HMAC_SECRET"].into_iter().zip(secrets)).collect()
        }
    }

    fn is_signature(&self, header: &str) -> bool {
        let signature = if self.sender == "circa" { "circa-signature" } else { "x-circularo-signature" };
        header.eq_ignore_ascii_case(signature)
    }

    /// The signed time, where it is one plain integer.
    fn signed_at(&self) -> Option<i64> {
        let headers = self.headers.iter().filter(|(name, _)| self.is_signature(name));
        let elements = headers.flat_map(|(_, value)| value.split(|byte| *byte == b','));
        let mut times = elements.filter_map(|element| plain_time(element.trim_ascii()));
        times.next().filter(|_| times.next().is_none())
    }
}

/// The time of an element `t=<plain integer>`.
fn plain_time(element: &[u8]) -> Option<i64> {
    let digits = std::str::from_utf8(element.strip_prefix(b"t=")?).ok()?;
    let time: i64 = digits.parse().ok()?;
    (time.to_string() == digits).then_some(time)
}

fn bytes(value: &Value) -> Vec<u8> {
    match value.as_str() {
        Some(text) => text.into(),
        None => BASE64_STANDARD.decode(value["base64"].as_str().unwrap()).unwrap(),
    }
}

fn body(case: &Value) -> Vec<u8> {
    let Some(repeat) = case.get("body").map(|body| &body["repeat"]) else {
        return BASE64_STANDARD.decode(case["body_base64"].as_str().unwrap()).unwrap();
    };
    let text = |field: &str| repeat[field].as_str().unwrap_or_default();
    let times = |field: &str| usize::try_from(repeat[field].as_u64().unwrap_or(0)).unwrap();
    let units = [text("unit").repeat(times("count")), text("suffix_unit").repeat(times("suffix_count"))];
    [text("prefix"), &units[0], &units[1], text("suffix")].concat().into_bytes()
}

pub(crate) struct Rewriter {
    now: i64,
    /// Every secret of the deliveries: a sender that rotates signs with some that the receiver does
    /// not have.
    secrets: Vec<Vec<u8>>,
}

impl Rewriter {
    pub(crate) fn new(cases: &[Case]) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut secrets: Vec<_> =
            cases.iter().filter(|case| case.is_delivery()).flat_map(|case| case.secrets.clone()).collect();
        secrets.sort();
        secrets.dedup();
        Self { now: now.try_into().unwrap(), secrets }
    }

    /// The case as it is sent; `used` counts the ids that this process has seen.
    pub(crate) fn rewrite(&self, case: &Case, used: &mut BTreeMap<String, usize>) -> Case {
        let mut new = case.clone();
        if case.expect["verdict"] == "accept" {
            let range = case.id_range().unwrap();
            let id = case.event_id().unwrap();
            let count = used.entry(id.clone()).or_default();
            new.body[range.end - 1] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZghijklmnopqrstuvwxyz"[*count];
            *count += 1;
            let new_id = new.event_id().unwrap();
            for (_, value) in new.headers.iter_mut().filter(|(_, value)| *value == id.as_bytes()) {
                *value = new_id.clone().into_bytes();
            }
        }
        let new_time = case.signed_at().and_then(|time| time.checked_add(self.now - case.now));
        let macs: Vec<_> = self.secrets.iter().flat_map(|secret| macs(secret, case, &new, new_time)).collect();
        for (name, value) in &mut new.headers {
            if case.is_signature(name) {
                *value = rewrite_signature(value, case.signed_at().zip(new_time), &macs);
            }
        }
        new
    }
}

/// The MACs under one secret, in lower-case hex: the correct one of the original, and that of the
/// rewritten case.
fn macs(secret: &[u8], old: &Case, new: &Case, new_time: Option<i64>) -> Option<(String, String)> {
    if old.sender == "circularo" {
        let signer = CircularoSigner::new(secret);
        return Some((signer.sign(&old.body), signer.sign(&new.body)));
    }
    let signer = CircaSigner::new(secret);
    let mac = |time: i64, body: &[u8]| signer.sign(time, body).split_once(",v1=").unwrap().1.to_owned();
    Some((mac(old.signed_at()?, &old.body), mac(new_time?, &new.body)))
}

pub(crate) fn rewrite_signature(value: &[u8], times: Option<(i64, i64)>, macs: &[(String, String)]) -> Vec<u8> {
    let rewrite = |element: &[u8]| {
        if let Some((old, new)) = times
            && plain_time(element.trim_ascii()) == Some(old)
        {
            return replace(element, old.to_string().as_bytes(), new.to_string().as_bytes());
        }
        let remade = macs.iter().find_map(|(old, new)| remake(element, old, new));
        remade.unwrap_or_else(|| element.to_vec())
    };
    value.split(|byte| *byte == b',').map(rewrite).collect::<Vec<_>>().join(&b',')
}

/// What was made from the old MAC, made from the new one in the same way; `None` if it was not.
fn remake(element: &[u8], old: &str, new: &str) -> Option<Vec<u8>> {
    // The base64 holds a `=` of its own, so it comes before the split.
    let base64 = |hex: &str| {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        BASE64_STANDARD.encode((0..64).step_by(2).map(byte).collect::<Vec<_>>()).into_bytes()
    };
    if contains(element, &base64(old)) {
        return Some(replace(element, &base64(old), &base64(new)));
    }
    let flipped = |hex: &str| format!("{:x}{}", u8::from_str_radix(&hex[..1], 16).unwrap() ^ 1, &hex[1..]);
    // The whole MAC, also with something before or behind it; with its first nibble flipped; its
    // first half.
    let forms = [(old.to_owned(), new.to_owned()), (flipped(old), flipped(new)), (old[..32].into(), new[..32].into())];
    let lower = element.to_ascii_lowercase();
    let (old, new) = forms.into_iter().find(|(old, _)| contains(&lower, old.as_bytes()))?;
    let start = lower.windows(old.len()).position(|window| window == old.as_bytes())?;
    let range = start..start + old.len();
    let upper = element[range.clone()].iter().any(u8::is_ascii_uppercase);
    let mixed = upper && element[range.clone()].iter().any(u8::is_ascii_lowercase);
    let recased = new
        .bytes()
        .enumerate()
        .map(|(at, byte)| if upper && (!mixed || at % 2 == 0) { byte.to_ascii_uppercase() } else { byte });
    let mut remade = element.to_vec();
    remade.splice(range, recased);
    Some(remade)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// With the first `old` replaced, if there is one.
pub(crate) fn replace(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let Some(start) = bytes.windows(old.len()).position(|window| window == old) else { return bytes.to_vec() };
    [&bytes[..start], new, &bytes[start + old.len()..]].concat()
}
