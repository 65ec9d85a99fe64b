//! Signed `http::Request`s, good ones and the usual bad ones.

use http::Request;

use super::{CircaSigner, CircularoSigner};
use crate::clock::{Clock, SystemClock};
use crate::sender::Sender;

/// Builds a signed request for any service that takes `http::Request`: an axum `Router`, a tower
/// service.
///
/// ```
/// use circa_receiver::testing::{CircaSigner, SignedRequest, fixtures};
///
/// let event = &fixtures()[0];
/// let signer = CircaSigner::new("whsec_test_0123456789abcdef");
/// let request: http::Request<Vec<u8>> = SignedRequest::circa(&signer, event.body()).uri("/webhooks/circa").build();
/// assert_eq!(request.method(), "POST");
/// ```
#[must_use]
pub struct SignedRequest {
    uri: String,
    signing: Signing,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    sent_body: Option<Vec<u8>>,
}

enum Signing {
    Circa { signer: CircaSigner, at: i64 },
    Circularo(CircularoSigner),
}

impl SignedRequest {
    /// A request signed as Circa does, now by the system's clock.
    ///
    /// # Panics
    ///
    /// If the system's clock stands before 1970.
    pub fn circa(signer: &CircaSigner, body: impl Into<Vec<u8>>) -> Self {
        let at = SystemClock.unix_seconds().expect("the system's clock stands after 1970");
        Self::new(Signing::Circa { signer: signer.clone(), at }, body.into())
    }

    /// A request signed as Circularo does.
    pub fn circularo(signer: &CircularoSigner, body: impl Into<Vec<u8>>) -> Self {
        Self::new(Signing::Circularo(signer.clone()), body.into())
    }

    fn new(signing: Signing, body: Vec<u8>) -> Self {
        Self { uri: "/".to_owned(), signing, headers: Vec::new(), body, sent_body: None }
    }

    /// Where it goes; `/` by default.
    pub fn uri(mut self, uri: &str) -> Self {
        uri.clone_into(&mut self.uri);
        self
    }

    /// The unix time in seconds at which it is signed. Without effect for Circularo, which signs no
    /// time.
    pub fn signed_at(mut self, unix_seconds: i64) -> Self {
        if let Signing::Circa { at, .. } = &mut self.signing {
            *at = unix_seconds;
        }
        self
    }

    /// Sends another body than the one that was signed.
    pub fn tampered(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.sent_body = Some(body.into());
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The request, with any body type that a `Vec<u8>` converts into.
    ///
    /// # Panics
    ///
    /// If the URI or a header is not valid.
    pub fn build<B: From<Vec<u8>>>(self) -> Request<B> {
        let Self { uri, signing, headers, body, sent_body } = self;
        let (header, signature) = match signing {
            Signing::Circa { signer, at } => (Sender::CIRCA.signature_header(), signer.sign(at, &body)),
            Signing::Circularo(signer) => (Sender::CIRCULARO.signature_header(), signer.sign(&body)),
        };
        let request = Request::post(uri).header("content-type", "application/json").header(header, signature);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.body(sent_body.unwrap_or(body).into()).expect("the URI and the headers are valid")
    }
}

impl std::fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedRequest").field("uri", &self.uri).finish_non_exhaustive()
    }
}
