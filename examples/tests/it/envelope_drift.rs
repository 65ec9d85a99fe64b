//! Envelopes that are not as documented, over HTTP, at both reference receivers (contract, section
//! 5).

use crate::support::{REFERENCES, Request, circa, circularo, turn};

/// What the envelope's fields are replaced by, and what becomes of the event. None of them
/// identifies it.
const DRIFTED: [(&str, &str); 14] = [
    ("a float", r#""created":1747000800.0"#),
    ("a float with an exponent", r#""created":1.7470008e9"#),
    ("a fraction", r#""created":0.5"#),
    ("a number too large", r#""created":1e400"#),
    ("a date", r#""created":"2025-05-12T00:00:00Z""#),
    ("null", r#""created":null,"livemode":null,"teamId":null"#),
    ("none of them", r#""more":{}"#),
    ("livemode as text", r#""livemode":"true""#),
    ("livemode as a number", r#""livemode":1"#),
    ("a team's number", r#""teamId":7"#),
    ("a team as an object", r#""teamId":{"id":"t_1"}"#),
    ("an unknown key with a lone surrogate", r#""more":"\ud800","\ud800":1"#),
    ("an actor", r#""actor":{"id":"u_1"}"#),
    ("data that repeats a key", r#""data":{"a":1,"a":2}"#),
];

/// Bodies that identify no event.
const UNREADABLE: [(&str, &str); 9] = [
    ("no id", r#"{"type":"datapoint.pulled"}"#),
    ("an id that is a number", r#"{"id":1,"type":"datapoint.pulled"}"#),
    ("an empty id", r#"{"id":"","type":"datapoint.pulled"}"#),
    ("no type", r#"{"id":"evt_1"}"#),
    ("a type with a space", r#"{"id":"evt_1","type":"a b"}"#),
    ("an id twice", r#"{"id":"evt_1","i\u0064":"evt_2","type":"datapoint.pulled"}"#),
    ("an array", "[]"),
    ("cut short", r#"{"id":"evt_1","type":"datapoint.pulled""#),
    ("something after it", r#"{"id":"evt_1","type":"datapoint.pulled"} {}"#),
];

/// Circularo's `actor` and `timestamp` may be any JSON.
const CIRCULAROS: [(&str, &str); 5] = [
    ("neither", r#""more":1"#),
    ("null", r#""actor":null,"timestamp":null"#),
    ("objects", r#""actor":{"mail":"a@b.c"},"timestamp":{"s":1}"#),
    ("numbers", r#""actor":7,"timestamp":1747000800123"#),
    ("a timestamp in words", r#""timestamp":"yesterday""#),
];

async fn answers(
    name: &str,
    request: Request,
    expected: (u16, Option<&str>),
    processes: &[(&str, std::net::SocketAddr)],
) {
    for (reference, address) in processes {
        assert_eq!(request.send(*address).await.told(), expected, "{reference}: {name}");
    }
}

#[tokio::test]
async fn what_identifies_an_event_decides_and_nothing_else() {
    let _turn = turn::unhurried().await;
    let (axum, actix) = (REFERENCES[0].start().await, REFERENCES[1].start().await);
    let processes = [(REFERENCES[0].name, axum.address), (REFERENCES[1].name, actix.address)];
    let handled = (200, Some("handled"));
    for (n, (name, fields)) in DRIFTED.iter().enumerate() {
        let body = format!(r#"{{"id":"evt_drift_{n}","type":"datapoint.pulled",{fields}}}"#);
        answers(name, circa(body), handled, &processes).await;
    }
    let escaped = r#"{"id":"evt_unit","type":"datapoint.pulled","data":{"unit":"prop\u0065rty","materialId":"m","propertyIds":[]}}"#;
    answers("an escape in the unit", circa(escaped), handled, &processes).await;
    for (name, body) in UNREADABLE {
        // Neither has a sink for dead letters: the sender has to keep it.
        answers(name, circa(body), (400, None), &processes).await;
    }
    for (name, fields) in CIRCULAROS {
        let body = format!(r#"{{"documentId":"d_1","event":"documentSigned",{fields}}}"#);
        answers(name, circularo(&body), handled, &processes).await;
    }
    for (name, body) in [("no document", r#"{"event":"documentSigned"}"#), ("no event", r#"{"documentId":"d_1"}"#)] {
        answers(name, circularo(body), (400, None), &processes).await;
    }
}
