//! When a mismatch is diagnosed: once a minute, beside the answer and never in it.

use circa_receiver::{
    Diagnosis, Secret,
    observe::{Origin, Side},
    testing::CircaSigner,
};
use tokio::time::advance;

use crate::support::receiving::{
    Endpoint, Gate, NOW, OTHER_SECRET, Request, SECRET, UNAUTHORIZED, answer, circa, seconds,
};

/// Signed with the secret without its prefix.
fn stripped(id: &str) -> Request {
    Request::circa(id).resigned(&CircaSigner::new(&SECRET[6..]), NOW)
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_diagnosed_once_a_minute() {
    let endpoint = Endpoint::new(circa().dangerous_tolerance(None), Gate::open().routes());
    for flood in 1..=3 {
        for _ in 0..10_000 {
            assert_eq!(answer(&endpoint.deliver(&stripped("evt_1")).await), UNAUTHORIZED);
        }
        assert_eq!(endpoint.diagnosed(flood).await, flood);
        advance(seconds(60)).await;
    }
    let expected = format!("diagnosed {:?}", Diagnosis::PrefixStripped(Side::Signer));
    assert_eq!(endpoint.notes.count(&expected), 3);
}

#[tokio::test]
async fn a_replaced_secret_is_recognised() {
    let endpoint = Endpoint::new(circa(), Gate::open().routes());
    endpoint.receiver.replace_secrets(Secret::new(OTHER_SECRET).unwrap());
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), UNAUTHORIZED);
    assert_eq!(endpoint.diagnosed(1).await, 1);
    let expected = format!("diagnosed {:?}", Diagnosis::OtherSecret(Origin::Retired));
    assert_eq!(endpoint.notes.count(&expected), 1, "{:?}", endpoint.notes.all());
}
