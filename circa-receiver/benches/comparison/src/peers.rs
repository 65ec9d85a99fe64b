//! Verification beside other libraries, and what floods of bogus signatures cost each.
//!
//! Libraries with the same wire format get Circa's own header; the others a delivery of their own form over the same body.

use std::{hint::black_box, time::Duration};

use http::HeaderMap;
use octoevents::WebhookSecret;

use crate::{
    measure::{
        SECRET, now,
        promise::Promise,
        rounds::{Candidate, Measured, compare},
        size,
        table::Table,
        verification::{self, BOGUS, OURS, SIZES, Signed},
    },
    part::Part,
};

/// Of the measurement at one size, and of one flood.
const BUDGET: Duration = Duration::from_millis(2_000);
/// The body under the floods.
const FLOODED: usize = 65_536;

pub fn run() -> Part {
    let mut part = Part::new("verification");
    let mut table = verification::table("Verification of one delivery; ratios to the floor");
    for (bytes, limit) in SIZES {
        let signed = Signed::new(bytes);
        let mut candidates = signed.candidates();
        let others = candidates.len();
        candidates.extend(peers(&signed));
        let measured = compare(&candidates, BUDGET);
        verification::rows(&mut table, bytes, &measured);
        part.promises.extend(verification::promises(bytes, limit, &measured));
        part.promises.push(faster_than_all(bytes, &measured, &measured[others..]));
    }
    part.tables.push(table);
    part.promises.push(verification::flood(BUDGET));
    part
}

/// Ours to the fastest of the peers. From 64 KiB on those that use the same SHA-256 differ by less than can be measured.
fn faster_than_all(bytes: usize, measured: &[Measured], peers: &[Measured]) -> Promise {
    let ours = measured.iter().find(|measured| measured.name == OURS).expect("ours is among the candidates");
    let fastest = peers.iter().map(|peer| peer.median).fold(f64::INFINITY, f64::min);
    let limit = if bytes < 65_536 { 1.0 } else { 1.02 };
    Promise::at_most(format!("verification at {}: to the fastest peer", size(bytes)), limit, ours.median / fastest)
}

/// All of them verify, and are made sure to accept what is signed.
fn peers(signed: &Signed) -> Vec<Candidate<'_>> {
    let Signed { body, header } = signed;
    let mut candidates = same_format(header, body, true);

    let standard = standardwebhooks::Webhook::from_bytes(SECRET.as_bytes().to_vec()).expect("any key will do");
    let headers = standard_headers("webhook", &standard.sign("msg_1", now(), body).expect("it signs"));
    assert!(standard.verify(body, &headers).is_ok());
    candidates.push(Candidate::new("standardwebhooks", move || standard.verify(black_box(body), &headers).is_ok()));

    let svix = svix::webhooks::Webhook::from_bytes(SECRET.as_bytes().to_vec()).expect("any key will do");
    let headers = standard_headers("svix", &svix.sign("msg_1", now(), body).expect("it signs"));
    assert!(svix.verify(body, &headers).is_ok());
    candidates.push(Candidate::new("svix", move || svix.verify(black_box(body), &headers).is_ok()));

    let octoevents = octoevents::Verifier::new(WebhookSecret::new(SECRET));
    let header = octoevents.sign(body).to_string();
    let verify = move || {
        let signature: octoevents::Signature = black_box(&header).parse().expect("it is well-formed");
        octoevents.verify(&signature, black_box(body)).is_ok()
    };
    assert!(verify());
    candidates.push(Candidate::new("octoevents (no signed time)", verify));
    candidates
}

/// The peers that read `t=...,v1=...`.
fn same_format<'a>(header: &'a str, body: &'a [u8], good: bool) -> Vec<Candidate<'a>> {
    let checked = |name, verify: Box<dyn Fn() -> bool + 'a>| {
        assert_eq!(verify(), good, "{name}");
        Candidate::new(name, verify)
    };
    let blooio = move || blooio::webhook::verify(SECRET.as_bytes(), black_box(header), black_box(body), 300).is_ok();
    let tolerance = Duration::from_secs(300);
    let wuapi = move || wuapi::verify_signature(black_box(body), black_box(header), SECRET, tolerance).is_ok();
    let headers = [("Stripe-Signature", header)];
    let secret = webhook_verify::Secret::new(SECRET);
    let webhook_verify = move || {
        let options = webhook_verify::VerifyOptions::default();
        let provider = webhook_verify::Provider::Stripe;
        webhook_verify::verify(provider, black_box(&headers), black_box(body), &secret, options).is_ok()
    };
    // It parses what it has verified. A body that is no JSON, of the same size, ends that at its first byte.
    let text = "-".repeat(body.len());
    let own = circa_receiver::testing::CircaSigner::new(SECRET).sign_now(text.as_bytes());
    let own = if good { own } else { header.to_owned() };
    let stripe = move || {
        let result = stripe_webhook::Webhook::construct_event(black_box(&text), black_box(&own), SECRET);
        matches!(result, Err(stripe_webhook::WebhookError::BadParse(_)))
    };
    vec![
        checked("blooio", Box::new(blooio)),
        checked("wuapi", Box::new(wuapi)),
        checked("webhook-verify", Box::new(webhook_verify)),
        checked("async-stripe-webhook", Box::new(stripe)),
    ]
}

fn standard_headers(prefix: &str, signature: &str) -> HeaderMap {
    let pairs = [("id", "msg_1"), ("timestamp", &now().to_string()), ("signature", signature)];
    let header = |(name, value): (&str, &str)| {
        let name: http::HeaderName = format!("{prefix}-{name}").parse().expect("a header name");
        (name, value.parse().expect("a header value"))
    };
    pairs.into_iter().map(header).collect()
}

/// What a header costs that matches nothing, each to a bare HMAC over the same body.
pub fn floods() -> Part {
    let mut part = Part::new("floods-of-signatures");
    let title = format!("Floods: headers that match nothing, a body of {}; ratios to one bare HMAC", size(FLOODED));
    let mut table = Table::new(title, &["header", "candidate", "ns", "min", "median", "allocations"]);
    let v1 = |times: usize| format!("t={}{}", now(), BOGUS.repeat(times));
    let headers = [
        ("1 bogus v1", v1(1)),
        ("8 bogus v1", v1(8)),
        ("300 bogus v1", v1(300)),
        ("5,000 bogus v1", v1(5_000)),
        ("60 KB of other elements", v1(1) + &",x=".repeat(20_000)),
        ("60 KB in one v1", format!("t={},v1={}", now(), "0".repeat(60_000))),
        ("v1 of 63 digits", format!("t={}{}", now(), &BOGUS[..67])),
        ("300 v1 of 63 digits", format!("t={}{}", now(), BOGUS[..67].repeat(300))),
    ];
    let signed = Signed::new(FLOODED);
    for (name, header) in headers {
        let flooded = Signed { body: signed.body.clone(), header };
        let mut candidates = vec![signed.candidates().swap_remove(1), flooded.ours(OURS, 0)];
        candidates.extend(same_format(&flooded.header, &flooded.body, false));
        for Measured { name: candidate, nanoseconds, min, median, allocations } in compare(&candidates, BUDGET / 4) {
            if candidate == OURS {
                let what = format!("a refused header, {name}: to one bare HMAC over {}", size(FLOODED));
                part.promises.push(Promise::at_most(what, 1.05, median));
            }
            let figures = [nanoseconds.round(), min, median, allocations];
            table.row([name.into(), candidate.into()].into_iter().chain(figures.map(Into::into)));
        }
    }
    part.tables.push(table);
    part
}
