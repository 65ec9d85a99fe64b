//! The body is hashed once for each secret, however many signatures a header offers: counted, so
//! that no clock is needed.

use std::cell::Cell;

use circa_receiver::testing::unix_time;
use circa_receiver::{Secret, Secrets, Verifier, testing::CircaSigner};

const NOW: i64 = 1_747_000_800;

/// A body that counts how often it is read.
struct Counted<'a>(&'a Cell<usize>);

impl AsRef<[u8]> for Counted<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0.set(self.0.get() + 1);
        b"{}"
    }
}

fn secret(number: usize) -> Secret {
    Secret::new(format!("whsec_0123456789abcdef{number}")).unwrap()
}

/// Contract, section 2: "One HMAC per secret, however many `v1`".
#[test]
fn the_body_is_read_once_per_secret() {
    let bogus = ",v1=0000000000000000000000000000000000000000000000000000000000000000";
    let (last, good) = (7, CircaSigner::new("whsec_0123456789abcdef7"));
    for secrets in 1..=8 {
        let verifier = Verifier::circa(Secrets::new((0..secrets).map(secret)).unwrap());
        for v1 in 1..=8 {
            let header = format!("t={NOW}{}", bogus.repeat(v1));
            assert_eq!(reads(&verifier, &header), (secrets, false), "{secrets} secrets, {v1} bogus v1");
        }
        let header = good.sign(NOW, b"{}") + &bogus.repeat(7);
        assert_eq!(
            reads(&verifier, &header),
            (secrets, secrets > last),
            "{secrets} secrets, 7 bogus v1 behind a good one"
        );
        let malformed = format!("t={NOW}{}", bogus.repeat(9));
        assert_eq!(reads(&verifier, &malformed), (0, false), "{secrets} secrets, a malformed header");
    }
}

fn reads(verifier: &Verifier, header: &str) -> (usize, bool) {
    let count = Cell::new(0);
    let accepted = verifier.verify([("circa-signature", header.as_bytes())], Counted(&count), unix_time(NOW)).is_ok();
    (count.get(), accepted)
}
