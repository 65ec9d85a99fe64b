//! Signed requests, and the bodies of their events.

use bytes::Bytes;
use circa_receiver::testing::{CircaSigner, CircularoSigner};

use super::{NOW, SECRET};

/// The body of a Circa event with this id.
pub(crate) fn circa_body(id: &str) -> String {
    format!(r#"{{"id":"{id}","type":"webhook.test","created":{NOW},"livemode":false,"data":{{"message":"hello"}}}}"#)
}

/// The body of a Circularo event of this document.
pub(crate) fn circularo_body(document: &str) -> String {
    format!(r#"{{"documentId":"{document}","event":"documentSigned","actor":"mary","timestamp":{NOW}}}"#)
}

/// A request: its head, and a body that is sent whole unless a [`Body`](super::Body) is given with
/// it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Bytes,
}

impl Request {
    /// A good delivery of a Circa event, signed at [`NOW`].
    pub(crate) fn circa(id: &str) -> Self {
        Self::signed(circa_body(id))
    }

    /// Any body, signed as Circa does at [`NOW`].
    pub(crate) fn signed(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let signature = CircaSigner::new(SECRET).sign(NOW, &body);
        Self { method: "POST", headers: Vec::new(), body }.header("Circa-Signature", signature)
    }

    /// Any body, signed as Circularo does.
    pub(crate) fn circularo(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let signature = CircularoSigner::new(SECRET).sign(&body);
        Self { method: "POST", headers: Vec::new(), body }.header("x-circularo-signature", signature)
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn replace(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).header(name, value)
    }

    /// Signed as Circa does, but with these secrets and at this time.
    pub(crate) fn resigned(self, signer: &CircaSigner, at: i64) -> Self {
        let signature = signer.sign(at, &self.body);
        self.replace("Circa-Signature", signature)
    }
}
