//! The cases of the core's vectors, sent to the reference receivers over real sockets, by HTTP/1.1 and by HTTP/2.
//!
//! The receivers run by the real clock and remember events, so a case is rewritten before it is sent; what is odd about it stays:
//! 1. times: each element `t=` that is a plain integer is moved by the distance between the case's clock and the real one, so that the skew stays;
//! 2. ids: where a handler is to run, the last character of the body's `id` (`documentId`) is replaced by one not used before, and with it a
//!    `Circa-Event-Id` that was equal; the length stays;
//! 3. signatures: each value that was made from the correct MAC of the original, under any secret of the vectors, is made from the new MAC in the same
//!    way (case of the letters, truncation, encoding, a byte more); others stay.
//!
//! Receivers are started with the case's secrets, one process for the cases of each set of secrets. That a case was refused for the right reason is
//! read in the receiver's log, since the answers do not tell.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use circa_receiver::testing::{CircaSigner, CircularoSigner};
use serde_json::Value;
use support::{Answer, CIRCA_SECRET, Process, REFERENCES, Reference, Request};

const CASES: &str = include_str!("../../circa-receiver/tests/vectors/cases.json");

/// What cannot be carried, by either protocol.
const NOT_CARRIED: [(&str, &str); 3] = [
    ("ENV-027", "the receivers have no environment variable for the mode"),
    ("TIM-020", "the real clock cannot be set to 1970"),
    ("RES-001", "a load, not a delivery: see over_real_sockets.rs"),
];

/// What HTTP/2 cannot carry.
const NOT_OVER_HTTP2: [(&str, &str); 2] =
    [("HTP-011", "HTTP/2 has no chunked encoding"), ("HTP-012", "HTTP/2 has no chunked encoding")];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Protocol {
    Http1,
    Http2,
}

/// Contract, section 9: "The same request gets the same status, headers and body from the axum and the actix adapter, HTTP/1.1 and HTTP/2".
#[tokio::test(flavor = "multi_thread")]
async fn the_vectors_hold_over_http1() {
    for reference in &REFERENCES {
        assert_eq!(run(reference, Protocol::Http1).await, 80, "{}", reference.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vectors_hold_over_http2() {
    for reference in &REFERENCES {
        assert_eq!(run(reference, Protocol::Http2).await, 78, "{}", reference.name);
    }
}

/// Contract, section 4: what is refused when the receiver is built.
#[tokio::test]
async fn the_config_vectors_stop_the_start() {
    for reference in &REFERENCES {
        let mut ran = 0;
        for case in cases().iter().filter(|case| case.layer == "config") {
            assert_eq!(case.expect["verdict"], "refused_at_build", "{}", case.id);
            assert_eq!(case.sender, "circa", "{}", case.id);
            if case.secrets.iter().any(|secret| secret.contains(&0)) {
                println!("{} skipped: an environment variable cannot hold a NUL", case.id);
                continue;
            }
            let ended = reference.refuse(&environment(case)).await;
            assert!(matches!(ended.code, Some(1 | 2)), "{}: {ended:?}", case.id);
            assert!(ended.stdout.is_empty(), "{}: {ended:?}", case.id);
            assert_eq!(ended.stderr.len(), 1, "{}: {ended:?}", case.id);
            assert!(ended.stderr[0].contains("CIRCA_WEBHOOK_SECRET"), "{}: {ended:?}", case.id);
            ran += 1;
        }
        assert_eq!(ran, 5, "{}", reference.name);
    }
}

/// Runs all cases that the protocol can carry, and tells how many.
async fn run(reference: &Reference, protocol: Protocol) -> usize {
    let cases = cases();
    let rewriter = Rewriter::new(&cases);
    let own = if protocol == Protocol::Http1 { &[][..] } else { &NOT_OVER_HTTP2[..] };
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.is_delivery()) {
        if let Some((id, reason)) = NOT_CARRIED.iter().chain(own).find(|(id, _)| *id == case.id) {
            println!("{id} skipped over {protocol:?}: {reason}");
            continue;
        }
        groups.entry((case.sender.clone(), case.secrets.clone())).or_default().push(case);
    }
    let mut ran = 0;
    for cases in groups.values() {
        let mut process = reference.start_with(&environment(cases[0])).await;
        let mut used = BTreeMap::new();
        for case in cases {
            run_one(&rewriter.rewrite(case, &mut used), protocol, &mut process).await;
            ran += 1;
        }
        // Every run of a handler has printed one line, which was read with its case: nothing may be left.
        let ended = process.stop().await;
        assert_eq!((ended.code, &ended.stdout[..]), (Some(0), &[][..]), "{}: {ended:?}", reference.name);
    }
    ran
}

async fn run_one(case: &Case, protocol: Protocol, process: &mut Process) {
    let request = case.request();
    let answer = match protocol {
        Protocol::Http1 => request.send(process.address).await,
        Protocol::Http2 => request.send_http2(process.address).await,
    };
    let name = format!("{} {} over {protocol:?}: {answer:?}", case.id, case.what);
    assert_eq!(u64::from(answer.status), case.expect["status"].as_u64().unwrap(), "{name}");
    match case.expect["verdict"].as_str().unwrap() {
        "accept" => {
            assert_eq!(answer.told(), (200, Some("handled")), "{name}");
            let line: Value = serde_json::from_str(&process.line().await).expect(&name);
            assert_eq!(line["endpoint"], *case.sender, "{name}");
            if case.sender == "circa" {
                assert_eq!(line["id"], case.event_id().expect(&name), "{name}");
            }
        }
        "ignored" => assert_eq!(answer.told(), (200, Some("ignored")), "{name}"),
        "reject" => {
            let reason = process.reason().await;
            let reasons = [&case.expect["reason"], &case.expect["or_reason"]];
            assert!(reasons.iter().any(|expected| expected_reason(expected, &reason)), "{name}: {reason}");
            assert_tells_nothing(&answer, &name);
        }
        other => panic!("{name}: unknown verdict {other}"),
    }
}

fn expected_reason(expected: &Value, reason: &str) -> bool {
    match expected {
        Value::Array(any) => any.iter().any(|expected| expected == reason),
        one => one == reason,
    }
}

/// Contract, section 1: "No answer ever repeats parser text, an internal error or anything of the request."
fn assert_tells_nothing(answer: &Answer, name: &str) {
    let bodies = ["unauthorized", "method not allowed", "unsupported media type", "payload too large", "bad request"];
    assert!(bodies.contains(&answer.body.as_str()), "{name}");
    let known = ["allow", "connection", "content-length", "content-type"];
    assert!(answer.headers.iter().all(|(header, _)| known.contains(&header.as_str())), "{name}");
}

fn environment(case: &Case) -> Vec<(&'static str, OsString)> {
    let secrets = case.secrets.iter().cloned().map(OsString::from_vec);
    if case.sender == "circa" {
        assert!(case.secrets.len() <= 2, "{}: the environment takes two secrets", case.id);
        ["CIRCA_WEBHOOK_SECRET", "CIRCA_WEBHOOK_SECRET_OLD"].into_iter().zip(secrets).collect()
    } else {
        assert!(case.secrets.len() <= 1, "{}: the environment takes one secret", case.id);
        let circa = ("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET.into());
        [circa].into_iter().chain(["CIRCULARO_HMAC_SECRET"].into_iter().zip(secrets)).collect()
    }
}

#[derive(Clone)]
struct Case {
    id: String,
    what: String,
    layer: String,
    sender: String,
    now: i64,
    secrets: Vec<Vec<u8>>,
    method: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    expect: Value,
}

fn cases() -> Vec<Case> {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    cases.iter().map(Case::read).collect()
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
    fn is_delivery(&self) -> bool {
        ["signature", "event", "http"].contains(&self.layer.as_str())
    }

    fn request(&self) -> Request {
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
    fn id_range(&self) -> Option<std::ops::Range<usize>> {
        let field = if self.sender == "circa" { "\"id\":\"" } else { "\"documentId\":\"" };
        let find = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).position(|window| window == part);
        let start = find(&self.body, field.as_bytes())? + field.len();
        Some(start..start + find(&self.body[start..], b"\"")?)
    }

    fn event_id(&self) -> Option<String> {
        Some(String::from_utf8(self.body[self.id_range()?].to_vec()).unwrap())
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

struct Rewriter {
    now: i64,
    /// Every secret of the deliveries: a sender that rotates signs with some that the receiver does not have.
    secrets: Vec<Vec<u8>>,
}

impl Rewriter {
    fn new(cases: &[Case]) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut secrets: Vec<_> =
            cases.iter().filter(|case| case.is_delivery()).flat_map(|case| case.secrets.clone()).collect();
        secrets.sort();
        secrets.dedup();
        Self { now: now.try_into().unwrap(), secrets }
    }

    /// The case as it is sent; `used` counts the ids that this process has seen.
    fn rewrite(&self, case: &Case, used: &mut BTreeMap<String, usize>) -> Case {
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

/// The MACs under one secret, in lower-case hex: the correct one of the original, and that of the rewritten case.
fn macs(secret: &[u8], old: &Case, new: &Case, new_time: Option<i64>) -> Option<(String, String)> {
    if old.sender == "circularo" {
        let signer = CircularoSigner::new(secret);
        return Some((signer.sign(&old.body), signer.sign(&new.body)));
    }
    let signer = CircaSigner::new(secret);
    let mac = |time: i64, body: &[u8]| signer.sign(time, body).split_once(",v1=").unwrap().1.to_owned();
    Some((mac(old.signed_at()?, &old.body), mac(new_time?, &new.body)))
}

fn rewrite_signature(value: &[u8], times: Option<(i64, i64)>, macs: &[(String, String)]) -> Vec<u8> {
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
    // The whole MAC, also with something before or behind it; with its first nibble flipped; its first half.
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

fn replace(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let Some(start) = bytes.windows(old.len()).position(|window| window == old) else { return bytes.to_vec() };
    [&bytes[..start], new, &bytes[start + old.len()..]].concat()
}

/// The rewriting itself: were it wrong, cases that are refused anyway would not show it.
#[test]
fn what_was_made_from_the_old_mac_is_made_from_the_new_one() {
    let (old, new) = ("ab".repeat(32), "1f".repeat(32));
    let macs = [(old.clone(), new.clone())];
    let rewrite =
        |value: &str| String::from_utf8(rewrite_signature(value.as_bytes(), Some((5, 1_005)), &macs)).unwrap();
    let cases = [
        ("lower case", format!("t=5,v1={old}"), format!("t=1005,v1={new}")),
        ("upper case", format!("v1={}, t=5", old.to_uppercase()), format!("v1={}, t=1005", new.to_uppercase())),
        ("first half", format!("t=5,v1={}", &old[..32]), format!("t=1005,v1={}", &new[..32])),
        ("a nibble more", format!("t=5,v1={old}a"), format!("t=1005,v1={new}a")),
        ("first nibble flipped", format!("t=5,v1=b{}", &old[1..]), format!("t=1005,v1=0{}", &new[1..])),
        (
            "base64",
            format!("v1={}", BASE64_STANDARD.encode([0xab; 32])),
            format!("v1={}", BASE64_STANDARD.encode([0x1f; 32])),
        ),
        ("another time, another MAC", "t=6,v1=00".to_owned(), "t=6,v1=00".to_owned()),
        ("not a plain integer", "t=05".to_owned(), "t=05".to_owned()),
    ];
    for (name, value, expected) in cases {
        assert_eq!(rewrite(&value), expected, "{name}");
    }
}
