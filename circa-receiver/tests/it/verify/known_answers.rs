//! Known answers from outside: those of the senders' specification, and Wycheproof's for
//! HMAC-SHA256.

use circa_receiver::{
    Rejection, Secret, Verified, Verifier,
    testing::{CircaSigner, CircularoSigner, unix_time},
};
use wycheproof::{
    TestResult,
    mac::{TestName, TestSet},
};

const CIRCA_BODY: &str = r#"{"id":"evt_3a1f9c0b-0000-4000-8000-000000000001","type":"webhook.test","created":1747000800,"livemode":false,"teamId":"4b6f9c28-6f4e-4e7f-a36d-2ff989045d10","data":{"message":"This is a test event triggered from the developer portal."}}"#;
const CIRCA_MAC: &str = "88dcc1d930c7a5fcc0987fb6455cfc9a56c550f1f56a32e568b43a11e164aaa7";
const CIRCULARO_BODY: &str = r#"{"documentId":"cd47142b-2618-4993-acaa-15c662929c17","event":"documentCompleted","actor":"mary.griffin@circularo.com","timestamp":"2024-06-01T13:10:10.500Z"}"#;

fn verify_circularo<'h>(secret: Secret, body: &[u8], signature: &'h str) -> Result<Verified<'h, Vec<u8>>, Rejection> {
    Verifier::circularo(secret).verify([("x-circularo-signature", signature.as_bytes())], body.to_vec(), unix_time(0))
}

/// Specification of the senders, "Known answers": Circa.
#[test]
fn circa() {
    let secret = "whsec_test_0123456789abcdef";
    let signature = format!("t=1747000800,v1={CIRCA_MAC}");
    assert_eq!(CircaSigner::new(secret).sign(1_747_000_800, CIRCA_BODY.as_bytes()), signature);
    let headers = [("circa-signature", signature.as_bytes())];
    let verifier = Verifier::circa(Secret::new(secret).unwrap());
    let event = verifier.verify(headers, CIRCA_BODY, unix_time(1_747_000_800)).unwrap().event().unwrap();
    assert_eq!(event.id(), "evt_3a1f9c0b-0000-4000-8000-000000000001");
    assert_eq!(event.event_type(), "webhook.test");
    assert_eq!(event.signed_at(), Some(1_747_000_800));
}

/// Specification of the senders, "Known answers": Circularo, and GitHub's published pair, which has
/// the same formula.
#[test]
fn circularo_and_github() {
    let pairs = [
        (
            "Circularo",
            Secret::dangerous_short("optionalHMAC"),
            "optionalHMAC",
            CIRCULARO_BODY,
            "065e9deeb0ed482bd59e4bd12f2b0c80ec3bf86c9f203a141a7004d055d2f3c7",
        ),
        (
            "GitHub",
            Secret::new("It's a Secret to Everybody"),
            "It's a Secret to Everybody",
            "Hello, World!",
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ),
    ];
    for (name, secret, text, body, mac) in pairs {
        assert_eq!(CircularoSigner::new(text).sign(body.as_bytes()), mac, "{name}");
        assert!(verify_circularo(secret.unwrap(), body.as_bytes(), mac).is_ok(), "{name}");
    }
}

/// Wycheproof, HMAC-SHA256, tags of 256 bits: the good ones are accepted, those with a modified tag
/// are refused as such.
///
/// Contract, section 2: exactly 64 hex digits, no truncation. The groups with shorter tags are
/// malformed, good or not.
#[test]
fn wycheproof_hmac_sha256() {
    let set = TestSet::load(TestName::HmacSha256).unwrap();
    let (mut accepted, mut mismatched, mut malformed) = (0, 0, 0);
    for group in set.test_groups {
        for test in group.tests {
            let name = format!("test {} ({})", test.tc_id, test.comment);
            let tag: String = test.tag.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(tag.len() * 4, group.tag_size, "{name}");
            let secret = Secret::dangerous_unchecked(&test.key[..]).unwrap();
            let end = verify_circularo(secret, &test.msg, &tag).map(drop);
            let expected = match (group.tag_size, test.result) {
                (256, TestResult::Valid) => Ok(()),
                (256, TestResult::Invalid) => Err(Rejection::SignatureMismatch),
                (256, TestResult::Acceptable) => panic!("{name}: neither good nor bad"),
                _ => Err(Rejection::MalformedSignature),
            };
            assert_eq!(end, expected, "{name}");
            match end {
                Ok(()) => accepted += 1,
                Err(Rejection::SignatureMismatch) => mismatched += 1,
                Err(_) => malformed += 1,
            }
        }
    }
    assert_eq!((accepted, mismatched, malformed), (33, 54, 87));
}
