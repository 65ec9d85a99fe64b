//! The checks of the head: method, encoding, and whose signature counts.

use circa_receiver::Mode;

use super::endpoint;
use crate::support::receiving::{
    Endpoint, Gate, HANDLED, IGNORED, Request, ScriptedStore, UNAUTHORIZED, answer, circa, circularo, circularo_body,
    header,
};

/// Contract, section 1: only POST, and methods are case-sensitive.
#[tokio::test]
async fn only_post_is_allowed() {
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "POSTS", ""] {
        let endpoint = endpoint(circa(), &[]);
        let response = endpoint.deliver(&Request { method, ..Request::circa("evt_1") }).await;
        assert_eq!(answer(&response), (405, "method not allowed"), "{method}");
        assert_eq!(header(&response, "allow"), Some("POST"), "{method}");
    }
}

/// Contract, section 1: `Content-Encoding` absent or `identity`.
#[tokio::test]
async fn only_the_identity_encoding_is_taken() {
    let cases: [(&str, &[&str], bool); 10] = [
        ("absent", &[], true),
        ("identity", &["identity"], true),
        ("in another case", &["Identity"], true),
        ("with spaces", &[" identity "], true),
        ("gzip", &["gzip"], false),
        ("br", &["br"], false),
        ("a list", &["identity, gzip"], false),
        ("two lines, gzip last", &["identity", "gzip"], false),
        ("two lines, gzip first", &["gzip", "identity"], false),
        ("unknown", &["x-identity"], false),
    ];
    for (name, values, taken) in cases {
        let endpoint = endpoint(circa(), &[]);
        let request =
            values.iter().fold(Request::circa("evt_1"), |request, value| request.header("content-encoding", value));
        let expected = if taken { HANDLED } else { (415, "unsupported media type") };
        assert_eq!(answer(&endpoint.deliver(&request).await), expected, "{name}");
    }
}

/// Contract, section 2: a missing header is refused even though the sender calls HMAC optional.
#[tokio::test]
async fn a_signed_receiver_refuses_circularos_unsigned_deliveries() {
    let endpoint = Endpoint::new(circularo(), Gate::open().routes());
    let request = Request::circularo(circularo_body("doc")).without("x-circularo-signature");
    assert_eq!(answer(&endpoint.deliver(&request).await), UNAUTHORIZED);
}

/// Contract, section 2: a receiver serves one sender and ignores the other sender's header.
#[tokio::test]
async fn the_other_senders_header_is_ignored() {
    let other =
        |request: &Request, name: &str| request.headers.iter().find(|(other, _)| other == name).unwrap().1.clone();
    let (of_circa, of_circularo) = (Request::circa("evt_1"), Request::circularo(circularo_body("doc")));
    let of_both = |request: &Request| {
        request
            .clone()
            .replace("Circa-Signature", other(&of_circa, "Circa-Signature"))
            .replace("x-circularo-signature", other(&of_circularo, "x-circularo-signature"))
    };
    let circa = Endpoint::new(circa(), Gate::open().routes());
    let circularo = Endpoint::new(circularo(), Gate::open().routes());
    assert_eq!(answer(&circa.deliver(&of_both(&of_circa)).await), HANDLED);
    assert_eq!(answer(&circularo.deliver(&of_both(&of_circularo)).await), HANDLED);
    assert_eq!(answer(&circa.deliver(&of_circularo).await), UNAUTHORIZED);
    assert_eq!(answer(&circularo.deliver(&of_circa).await), UNAUTHORIZED);
}

/// Contract, section 1: the event is wanted (mode, registered type): check 13, before the claim.
#[tokio::test]
async fn an_unwanted_event_is_ignored_and_not_recorded() {
    let store = ScriptedStore::memory();
    let endpoint = Endpoint::new(circa().mode(Mode::Live).dedup(store.clone()), Gate::open().routes());
    for _ in 0..2 {
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), IGNORED);
    }
    assert_eq!(endpoint.notes.count("ignored"), 2);
    assert_eq!(store.calls("claim"), 0);
}
