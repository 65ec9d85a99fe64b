//! What the black-box tests share: reference receivers as processes, and requests over real
//! sockets.

pub(crate) mod deliveries;
mod drip;
pub(crate) mod nobody;
mod process;
pub(crate) mod prometheus;
pub(crate) mod replicas;
mod request;
pub(crate) mod sender;
pub(crate) mod server;
mod slowness;
pub(crate) mod turn;
pub(crate) mod vectors;

pub(crate) use circa_receiver_examples::random;
pub(crate) use drip::{READ_DEADLINE, drip};
pub(crate) use process::{Ended, Process, REFERENCES, Reference, lines};
pub(crate) use request::{Answer, Protocol, Request, read_answer, read_answer_to};
pub(crate) use slowness::slowest_answer_during;

use circa_receiver::testing::{CircaSigner, CircularoSigner, fixtures};

pub(crate) const CIRCA_SECRET: &str = "whsec_5b7c1f0e9a2d4c6b8e3f7a1d0c9b2e4f";
pub(crate) const CIRCULARO_SECRET: &str = "circularo-hmac-secret-0123456789abcd";

/// A `datapoint.pulled` of this id.
pub(crate) fn event(id: &str) -> String {
    fixtures()[0].with_id(id).body().to_owned()
}

/// A `datapoint.pulled` of this id, of exactly so many bytes.
pub(crate) fn event_of_size(id: &str, bytes: usize) -> String {
    let (before, after) = (format!(r#"{{"id":"{id}","type":"datapoint.pulled","data":""#), "\"}");
    let padding = "a".repeat(bytes - before.len() - after.len());
    format!("{before}{padding}{after}")
}

/// What a reference prints for a handled `datapoint.pulled`.
pub(crate) fn pulled_line(id: &str) -> String {
    format!(r#"{{"endpoint":"circa","type":"datapoint.pulled","id":"{id}"}}"#)
}

/// A delivery as Circa sends it, signed now.
pub(crate) fn circa(body: impl Into<Vec<u8>>) -> Request {
    let body = body.into();
    let signature = CircaSigner::new(CIRCA_SECRET).sign_now(&body);
    Request::post("/webhooks/circa").header("Circa-Signature", signature).body(body)
}

/// A delivery as Circularo sends it.
pub(crate) fn circularo(body: &str) -> Request {
    let signature = CircularoSigner::new(CIRCULARO_SECRET).sign(body.as_bytes());
    Request::post("/webhooks/circularo").header("x-circularo-signature", signature).body(body)
}

/// A delivery signed now, with a secret that the receivers do not have.
pub(crate) fn forged(body: &str) -> Request {
    Request::post("/webhooks/circa")
        .header("Circa-Signature", CircaSigner::new("whsec_of_somebody_else").sign_now(body.as_bytes()))
        .body(body)
}
