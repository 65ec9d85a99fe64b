//! Deliveries that are not authentic, and secrets that rotate.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use circa_receiver::testing::CircaSigner;

use super::{CIRCA, now, signed_at};
use crate::support::{Answer, CIRCA_SECRET, REFERENCES, Request, circa, event, forged, pulled_line};

/// Contract, section 1: "All 401 answers are byte-identical: same status, headers and body
/// (`unauthorized`), with no reason."
#[tokio::test]
async fn what_is_not_authentic_is_told_nothing_and_runs_nothing() {
    for reference in &REFERENCES {
        let mut process = reference.start().await;
        let body = event("evt_1");
        let cases = [
            ("forged", forged(&body), "signature_mismatch"),
            ("tampered", circa(body.clone()).body(body.replace("u_a13c", "u_evil")), "signature_mismatch"),
            ("stale", signed_at(now() - 310, &body), "timestamp_out_of_tolerance"),
            // So far ahead that no slow machine makes it current.
            ("ahead", signed_at(now() + 600, &body), "timestamp_out_of_tolerance"),
            ("unsigned", Request::post(CIRCA).body(body.clone()), "missing_signature"),
            (
                "malformed",
                Request::post(CIRCA).header("Circa-Signature", "v1=1").body(body.clone()),
                "malformed_signature",
            ),
            (
                "1,025 bytes",
                Request::post(CIRCA).header("Circa-Signature", "v".repeat(1_025)).body(body.clone()),
                "malformed_signature",
            ),
            ("the other endpoint", Request::post("/webhooks/circularo").body(body.clone()), "missing_signature"),
        ];
        let expected = |headers: &[(&str, &str)]| Answer {
            status: 401,
            headers: headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: "unauthorized".to_owned(),
        };
        let [length, content_type] = [("content-length", "12"), ("content-type", "text/plain; charset=utf-8")];
        let http1 = expected(&[("connection", "close"), length, content_type]);
        let http2 = expected(&[length, content_type]);
        for (name, request, reason) in cases {
            assert_eq!(request.send(process.address).await, http1, "{} {name}", reference.name);
            assert_eq!(process.reason().await, reason, "{} {name}", reference.name);
            assert_eq!(request.send_http2(process.address).await, http2, "{} {name}", reference.name);
            assert_eq!(process.reason().await, reason, "{} {name}", reference.name);
        }
        // The id was never recorded: the authentic event is the first of its name.
        assert_eq!(circa(body).send(process.address).await.told(), (200, Some("handled")), "{}", reference.name);
        assert_eq!(process.stop().await.stdout, [pulled_line("evt_1")], "{}", reference.name);
    }
}

/// Contract, section 4: "Several secrets rotate: any may match".
#[tokio::test]
async fn the_old_secret_is_accepted_while_it_is_configured() {
    for reference in &REFERENCES {
        let new = "whsec_c0ffee00112233445566778899aabbcc";
        let both = [("CIRCA_WEBHOOK_SECRET", new), ("CIRCA_WEBHOOK_SECRET_OLD", CIRCA_SECRET)];
        for (environment, status_of_old) in [(&both[..], 200), (&both[..1], 401)] {
            let process = reference.start_with(environment).await;
            assert_eq!(circa(event("evt_1")).send(process.address).await.status, status_of_old, "{}", reference.name);
            let body = event("evt_2");
            let signature = CircaSigner::new(new).sign_now(body.as_bytes());
            let request = Request::post(CIRCA).header("Circa-Signature", signature).body(body);
            assert_eq!(request.send(process.address).await.status, 200, "{}", reference.name);
            // Without its secret, Circularo is not served, and standard error says so.
            assert!(process.before.iter().any(|line| line.contains("CIRCULARO_HMAC_SECRET")), "{}", reference.name);
            let circularo = Request::post("/webhooks/circularo").send(process.address).await;
            assert_eq!(circularo.status, 404, "{}", reference.name);
            assert_eq!(process.stop().await.code, Some(0), "{}", reference.name);
        }
    }
}

/// The secret in the environment is its bytes, UTF-8 or not.
#[tokio::test]
async fn a_secret_that_is_not_utf8_works() {
    for reference in &REFERENCES {
        let secret: Vec<u8> = (0x80..0xa0).collect();
        let process = reference.start_with(&[("CIRCA_WEBHOOK_SECRET", OsString::from_vec(secret.clone()))]).await;
        let body = event("evt_1");
        let signature = CircaSigner::new(&secret).sign_now(body.as_bytes());
        let answer = Request::post(CIRCA).header("Circa-Signature", signature).body(body).send(process.address).await;
        assert_eq!(answer.told(), (200, Some("handled")), "{}", reference.name);
    }
}
