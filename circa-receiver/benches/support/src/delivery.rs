//! Deliveries of an exact size, signed now.

use std::{
    hint::black_box,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use circa_receiver::{Secret, Verifier, testing::CircaSigner};
use hmac::{Hmac, KeyInit, Mac, digest::CtOutput};
use sha2::Sha256;

/// What every delivery is signed with.
pub const SECRET: &str = "whsec_test_0123456789abcdef";

/// A `v1` that matches nothing.
pub const BOGUS: &str = ",v1=0000000000000000000000000000000000000000000000000000000000000000";

/// [`SECRET`], for a receiver or a verifier.
pub fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

/// Now, in unix seconds.
pub fn now() -> i64 {
    UNIX_EPOCH.elapsed().unwrap().as_secs().cast_signed()
}

/// A body with its headers.
#[derive(Debug)]
pub struct Delivery {
    /// The event's.
    pub id: String,
    /// As a server hands it over.
    pub body: Bytes,
    /// The value of `Circa-Signature`.
    pub signature: String,
    /// The value of `Content-Length`.
    pub length: String,
}

impl Delivery {
    /// A `datapoint.pulled` of 280 bytes or more, with as many property ids as that takes.
    pub fn pulled(number: u64, bytes: usize) -> Self {
        let id = format!("evt_{number:032}");
        let mut body = format!(
            r#"{{"id":"{id}","type":"datapoint.pulled","created":1747000800,"livemode":true,"teamId":"4b6f9c28-6f4e-4e7f-a36d-2ff989045d10","data":{{"unit":"property","materialId":"8c2a17a4-1234-4d1e-9b21-3a8e2c91c0a1","userId":"u_a13c","propertyIds":["#
        );
        let end = "]}}";
        // Ids as long as those of the sender, 36 characters; the last one takes what is left.
        let mut property = 0;
        while bytes - body.len() - end.len() >= 2 * 39 {
            body += &format!(r#""18a58f02-1234-4d1e-9b21-{property:012}","#);
            property += 1;
        }
        let last = bytes - body.len() - end.len() - 2;
        body += &format!(r#""{property:0last$}"{end}"#);
        assert_eq!(body.len(), bytes);
        Self::new(id, body.into())
    }

    /// A body that is verified and not read.
    pub fn filled(bytes: usize) -> Self {
        Self::new("evt_1".to_owned(), vec![b'a'; bytes].into())
    }

    fn new(id: String, body: Bytes) -> Self {
        // A server hands over a body that is shared already.
        drop(body.clone());
        let length = body.len().to_string();
        Self { id, signature: CircaSigner::new(SECRET).sign_now(&body), length, body }
    }

    /// Verification by this crate, the clock read each time: whether the delivery is authentic.
    pub fn verification(&self) -> impl Fn() -> bool {
        let verifier = Verifier::circa(secret());
        // A server hands over headers that it has; making them is not part of verification.
        let headers = self.headers();
        move || verifier.verify(black_box(&headers).iter().copied(), &self.body[..], SystemTime::now()).is_ok()
    }

    /// The HMAC by the library alone, its key prepared: what no verification can leave out.
    pub fn hmac(&self) -> impl Fn() -> CtOutput<Hmac<Sha256>> {
        let key = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        let prefix = format!("{}.", now());
        move || {
            let mut mac = key.clone();
            mac.update(prefix.as_bytes());
            mac.update(black_box(&self.body));
            mac.finalize()
        }
    }

    /// The headers that Circa sends, and those that any client sends.
    pub fn headers(&self) -> [(&'static str, &[u8]); 8] {
        [
            ("host", b"example.com"),
            ("content-type", b"application/json"),
            ("content-length", self.length.as_bytes()),
            ("user-agent", b"Circa-Webhooks/1.0"),
            ("circa-event", b"datapoint.pulled"),
            ("circa-event-id", self.id.as_bytes()),
            ("circa-webhook-id", b"wh_8c2a17a4"),
            ("circa-signature", self.signature.as_bytes()),
        ]
    }
}
