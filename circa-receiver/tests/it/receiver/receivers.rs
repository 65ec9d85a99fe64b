//! Several receivers as one.

use std::sync::Arc;

use circa_receiver::{
    ConfigError, DedupStore, MemoryStore, Receiver, ReceiverBuilder, Receivers, Secret, SecretError, Sender,
    testing::CircaSigner,
};

use crate::support::receiving::{
    HANDLED, NOW, Notes, OTHER_SECRET, Request, SECRET, UNAUTHORIZED, UNAVAILABLE, answer, circa, circularo, routes,
};

fn with(secret: &str, builder: impl Fn(Secret) -> ReceiverBuilder) -> ReceiverBuilder {
    builder(Secret::new(secret).unwrap())
}

#[test]
fn what_cannot_be_right_together_is_refused() {
    let shared = ConfigError::Secret(SecretError::SharedBetweenSenders);
    let same = ConfigError::SameEndpoint("circa".to_owned());
    let cases: [(&str, Vec<ReceiverBuilder>, Result<usize, ConfigError>); 5] = [
        ("none", vec![], Ok(0)),
        ("one secret, two endpoints of one sender", vec![circa(), circa().endpoint("billing")], Ok(2)),
        ("one name", vec![circa(), circa()], Err(same)),
        ("one secret, two senders", vec![circa(), circularo()], Err(shared)),
        ("both senders", vec![circa(), with(OTHER_SECRET, Receiver::circularo)], Ok(2)),
    ];
    for (name, endpoints, expected) in cases {
        let built = Receivers::new(endpoints, |builder| builder);
        assert_eq!(built.map(|receivers| receivers.iter().count()), expected, "{name}");
    }
    let missing = Receivers::from_env([("circa", Sender::CIRCA, "A_VARIABLE_THAT_NOBODY_SETS")], |builder| builder);
    let not_set = ConfigError::Secret(SecretError::NotSet("A_VARIABLE_THAT_NOBODY_SETS".to_owned()));
    assert_eq!(missing.map(drop), Err(not_set));
}

async fn deliver(receiver: &Receiver, secret: &str, id: &str) -> (u16, &'static str) {
    let request = Request::circa(id).resigned(&CircaSigner::new(secret), NOW);
    let routes = routes(async |_| Ok(()));
    answer(&receiver.handle(&("POST", &request.headers[..]), request.body, &routes, ()).await)
}

/// What is common to all is applied to each: here a store and an observer.
#[tokio::test]
async fn they_are_found_by_name_and_have_what_is_common() {
    let (notes, store): (_, Arc<dyn DedupStore>) = (Notes::default(), Arc::new(MemoryStore::default()));
    let common = |builder: ReceiverBuilder| builder.dedup(Arc::clone(&store)).observer(notes.clone());
    let receivers = Receivers::new([circa(), circa().endpoint("billing")], common).unwrap();
    for name in ["circa", "billing"] {
        assert_eq!(deliver(receivers.get(name).unwrap(), SECRET, "evt_1").await, HANDLED, "{name}");
    }
    assert!(receivers.get("research").is_none());
    assert!(notes.count("handled") == 2 && receivers.check_stores().await.is_ok(), "{:?}", notes.all());
    assert_eq!(
        receivers.into_iter().map(|receiver| receiver.endpoint().to_owned()).collect::<Vec<_>>(),
        ["circa", "billing"]
    );
}

/// Contract, section 4: "They can be swapped while requests are in flight". The old secret need not
/// be known again.
#[tokio::test]
async fn a_rotation_keeps_the_former_secret_and_ends_the_one_before() {
    let receivers = Receivers::new([circa()], |builder| builder).unwrap();
    let receiver = receivers.get("circa").unwrap();
    let secret = |n: usize| format!("whsec_rotated_0123456789abcdef_{n}");
    let rotate = |n| receiver.rotate_to(Secret::new(secret(n)).unwrap());
    rotate(1);
    assert_eq!(deliver(receiver, SECRET, "evt_1").await, HANDLED, "the former one");
    assert_eq!(deliver(receiver, &secret(1), "evt_2").await, HANDLED, "the new one");
    // As when a file is read again that has not changed.
    rotate(1);
    assert_eq!(deliver(receiver, SECRET, "evt_3").await, HANDLED, "the former one, after nothing new");
    rotate(2);
    assert_eq!(deliver(receiver, SECRET, "evt_4").await, UNAUTHORIZED, "the one before");
    assert_eq!(deliver(receiver, &secret(1), "evt_5").await, HANDLED, "the former one");
    receiver.replace_secrets(Secret::new(secret(3)).unwrap());
    assert_eq!(deliver(receiver, &secret(2), "evt_6").await, UNAUTHORIZED, "a leaked one");
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_all_of_them() {
    let receivers = Receivers::new([circa(), circa().endpoint("billing")], |builder| builder).unwrap();
    receivers.shutdown().await;
    for receiver in receivers.iter() {
        assert_eq!(deliver(receiver, SECRET, "evt_1").await, UNAVAILABLE, "{}", receiver.endpoint());
    }
}
