//! Verification beside other libraries: `cargo bench --bench peers`.
//!
//! Libraries with the same wire format get Circa's own header; the others a delivery of their own
//! form over the same body. It fails where one of them is faster at up to 4 KiB.

use std::{hint::black_box, process::ExitCode, time::Duration};

use circa_receiver_bench_support::{Delivery, Figures, Goal, SECRET, Table, calls, now};
use http::HeaderMap;

/// Bodies in bytes.
const SIZES: [(&str, usize); 4] = [("200 B", 200), ("300 B", 300), ("4 KiB", 4_096), ("1 MiB", 1 << 20)];

/// Whether a library accepts a delivery.
type Verify<'a> = Box<dyn Fn() -> bool + 'a>;

fn main() -> ExitCode {
    let mut figures = Figures::new("peers", env!("CARGO_TARGET_TMPDIR"), 100, 2.0);
    let names = peers(&Delivery::filled(1)).map(|(name, _)| name);
    let mut table = Table::new(&[&["time, as a multiple of circa-receiver's"], &names[..]].concat());
    for (size, bytes) in SIZES {
        let delivery = Delivery::filled(bytes);
        // At 1 MiB nearly all of the time is the hash's, the same in most of them.
        let goal = (bytes <= 4_096).then_some(Goal::AtLeast(1.0));
        let ours = delivery.verification();
        let cells = peers(&delivery).map(|(name, verify)| {
            assert!(ours() && verify(), "{name} refuses what is authentic");
            let ratio = figures.ratio(&format!("{name}, {size}"), calls(&verify), calls(&ours));
            table.cell(ratio, goal)
        });
        table.row(size, &cells);
    }
    table.print()
}

/// The first four read `t=...,v1=...`; the others follow the Standard Webhooks specification, or were
/// its model.
fn peers(delivery: &Delivery) -> [(&'static str, Verify<'_>); 6] {
    let Delivery { body, signature, .. } = delivery;
    let blooio = || blooio::webhook::verify(SECRET.as_bytes(), black_box(signature), black_box(body), 300).is_ok();
    let tolerance = Duration::from_secs(300);
    let wuapi = move || wuapi::verify_signature(black_box(body), black_box(signature), SECRET, tolerance).is_ok();
    let secret = webhook_verify::Secret::new(SECRET);
    let webhook_verify = move || {
        let (options, provider) = (webhook_verify::VerifyOptions::default(), webhook_verify::Provider::Stripe);
        let headers = [("Stripe-Signature", &**signature)];
        webhook_verify::verify(provider, black_box(&headers), black_box(body), &secret, options).is_ok()
    };
    // It parses what it has verified. The body is no JSON, which ends that at its first byte.
    let text = std::str::from_utf8(body).expect("letters alone");
    let stripe = move || {
        let result = stripe_webhook::Webhook::construct_event(black_box(text), black_box(signature), SECRET);
        matches!(result, Err(stripe_webhook::WebhookError::BadParse(_)))
    };

    let key = SECRET.as_bytes().to_vec();
    let standard = standardwebhooks::Webhook::from_bytes(key.clone()).expect("any key will do");
    let signed = headers("webhook", &standard.sign("msg_1", now(), body).expect("it signs"));
    let standard = move || standard.verify(black_box(body), &signed).is_ok();
    let svix = svix::webhooks::Webhook::from_bytes(key).expect("any key will do");
    let signed = headers("svix", &svix.sign("msg_1", now(), body).expect("it signs"));
    let svix = move || svix.verify(black_box(body), &signed).is_ok();
    [
        ("blooio", Box::new(blooio)),
        ("wuapi", Box::new(wuapi)),
        ("webhook-verify", Box::new(webhook_verify)),
        ("async-stripe-webhook", Box::new(stripe)),
        ("standardwebhooks", Box::new(standard)),
        ("svix", Box::new(svix)),
    ]
}

fn headers(prefix: &str, signature: &str) -> HeaderMap {
    let pairs = [("id", "msg_1"), ("timestamp", &now().to_string()), ("signature", signature)];
    let name = |name| format!("{prefix}-{name}").parse::<http::HeaderName>().expect("a header name");
    pairs.into_iter().map(|(part, value)| (name(part), value.parse().expect("a header value"))).collect()
}
