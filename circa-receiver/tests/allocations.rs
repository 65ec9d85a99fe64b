//! A program of its own: `allocation-counter` replaces the allocator of the whole program.
//!
//! Verification allocates nothing: guarded by count, which does not depend on the clock.
#![allow(clippy::unwrap_used)]

use circa_receiver::{
    Rejection, Secret, Verifier,
    testing::{CircaSigner, CircularoSigner, unix_time},
};

const SECRET: &str = "whsec_test_0123456789abcdef";
const NOW: i64 = 1_747_000_800;

#[test]
fn verification_allocates_nothing_and_copies_no_body() {
    let bogus = ",v1=0000000000000000000000000000000000000000000000000000000000000000".repeat(7);
    for size in [0, 300, 4_096, 1_048_576] {
        let body = vec![b'a'; size];
        let good = CircaSigner::new(SECRET).sign(NOW, &body);
        let circa = Verifier::circa(Secret::new(SECRET).unwrap());
        let cases = [
            ("good", good.clone(), NOW, None),
            ("good among eight", good.clone() + &bogus, NOW, None),
            ("no good one", format!("t={NOW}{bogus}"), NOW, Some(Rejection::SignatureMismatch)),
            ("stale", good, NOW + 301, Some(Rejection::Stale { skew_seconds: -301 })),
            ("malformed", "t=1,v1=".to_owned(), NOW, Some(Rejection::MalformedSignature)),
        ];
        for (name, signature, now, rejection) in cases {
            let headers = [("circa-event-id", &b"evt_1"[..]), ("circa-signature", signature.as_bytes())];
            let verify = || {
                assert_eq!(circa.verify(headers, &body, unix_time(now)).map(drop).err(), rejection, "{name}, {size} B")
            };
            assert_eq!(allocation_counter::measure(verify).count_total, 0, "{name}, {size} B");
        }

        let circularo = Verifier::circularo(Secret::new(SECRET).unwrap());
        let signature = CircularoSigner::new(SECRET).sign(&body);
        let verify = || {
            drop(circularo.verify([("x-circularo-signature", signature.as_bytes())], &body, unix_time(NOW)).unwrap())
        };
        assert_eq!(allocation_counter::measure(verify).count_total, 0, "Circularo, {size} B");
    }
}
